/* Layers with weights: linear ones and convolutions. */

#ifndef WEIGHTED_H
#define WEIGHTED_H

#include "gemm.h"
#include "im2col.h"
#include "norm.h"
#include "optimizers.h"
#include "winograd.h"

enum {
    FEW_EXAMPLES = 4,     /* up to so many, gradients of weights are not written out */
    MANY_EXAMPLES = 256,  /* up to so many, they are summed at once */
    EXAMPLES_AT_A_TIME = 128, /* of more */
    EXAMPLE_BYTES = 512 * 1024, /* of the examples at a time, which stay in a near cache for all outputs */
};

INLINE Size depth_of(const Layer *layer) {
    return layer->kind == LINEAR ? layer->shape.channels : patch_size(&layer->shape);
}

/* Numbers from the weights of an output to those of the next. */
INLINE Size pitch_of(const Layer *layer) { return layer->kind == LINEAR ? layer->pitch : patch_size(&layer->shape); }

/* The weights that are used, of the first output. */
INLINE REAL *weights_of(const StepContext *context, const Layer *layer) {
    return values_of(context, &layer->weight) + layer->place;
}

/* y[rows, outputs] = x weight', for x whose rows follow each other. */
static void times_weight(const Layer *layer, Size rows, const REAL *x, const REAL *weight, const REAL *transposed,
                         REAL *y) {
    const Size depth = depth_of(layer), outputs = layer->shape.outputs;
    if (transposed)
        gemm(rows, outputs, depth, x, depth, 1, transposed, outputs, y, outputs, 0);
    else
        dot_products(rows, outputs, depth, x, depth, weight, pitch_of(layer), y, outputs);
}

static void convolve_patches(const StepContext *context, const Layer *layer, const REAL *x, const REAL *weight,
                             const REAL *transposed, REAL *y) {
    const Shape *s = &layer->shape;
    const Size images = images_at_a_time(s, context->batch), most = lines_at_a_time(s, images);
    REAL *padded = scratch_at(context, context->job->padded), *patches = scratch_at(context, context->job->patches);
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first), all = count * s->rows;
        pad(s, count, x + first * input_size(layer), padded);
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line);
            im2col(s, line, lines, padded, patches);
            times_weight(layer, lines * s->columns, patches, weight, transposed,
                         y + (first * s->rows + line) * s->columns * s->outputs);
        }
    }
}

static void convolve_tiles(const StepContext *context, const Layer *layer, const REAL *x, const REAL *weight, REAL *y) {
    const Shape whole = with_whole_tiles(&layer->shape), *s = &whole;
    const Size channels = s->channels, outputs = s->outputs, kernel = part_size(outputs, channels);
    const Size images = images_at_a_time(s, context->batch), most = tile_lines_at_a_time(s, images);
    REAL *padded = scratch_at(context, context->job->padded), *kernels = scratch_at(context, context->job->kernels);
    REAL *transposed = scratch_at(context, context->job->transposed);
    REAL *input_tiles = scratch_at(context, context->job->input_tiles);
    REAL *output_tiles = scratch_at(context, context->job->output_tiles);
    kernel_transform(s, weight, kernels);
    for (Size part = 0; part < PARTS; part++)
        transpose(outputs, channels, kernels + part * kernel, channels, transposed + part * kernel);
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first), all = count * lines_of_tiles(s);
        pad(s, count, x + first * input_size(layer), padded);
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), tiles = lines * tiles_of_line(s);
            input_transform(s, line, lines, padded, input_tiles);
            for (Size part = 0; part < PARTS; part++)
                gemm(tiles, outputs, channels, input_tiles + part * part_size(tiles, channels), channels, 1,
                     transposed + part * kernel, outputs, output_tiles + part * part_size(tiles, outputs), outputs, 0);
            output_transform(s, line, lines, output_tiles, y + first * output_size(layer));
        }
    }
}

static void weighted_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size outputs = layer->shape.outputs, rows = context->batch * output_positions(layer);
    const REAL *weight = weights_of(context, layer), *bias = values_of(context, &layer->bias);
    const int tiles = layer->kind == CONVOLUTION && has_tiles(&layer->shape, context->batch);
    REAL *transposed = rows > FEW_ROWS ? scratch_at(context, context->job->transposed) : 0;
    if (transposed && !tiles) transpose(outputs, depth_of(layer), weight, pitch_of(layer), transposed);
    if (tiles)
        convolve_tiles(context, layer, x, weight, y);
    else if (layer->kind == CONVOLUTION)
        convolve_patches(context, layer, x, weight, transposed, y);
    else
        times_weight(layer, rows, x, weight, transposed, y);
    for (Size row = 0; bias && row < rows; row++) add_numbers(y + row * outputs, bias, outputs);
}

static void update_bias(const StepContext *context, const Layer *layer, const REAL *gradient) {
    const Size rows = context->batch * output_positions(layer), outputs = layer->shape.outputs;
    if (!layer->bias.size || !layer->bias.trained) return;
    double *totals = (double *)scratch_at(context, context->job->totals);
    REAL *sums = scratch_at(context, context->job->sums);
    sum_rows(SUM, rows, outputs, gradient, gradient, gradient, totals, totals);
    for (Size output = 0; output < outputs; output++) sums[output] = (REAL)totals[output];
    update(context, &layer->bias, 0, outputs, sums);
}

/* Updates the weights of an output from few examples (or patches), whose number is known when this is compiled. */
INLINE void weight_update_from_few(const int rows, Size depth, const REAL *gradient, Size outputs,
                                   const REAL *restrict x, REAL *restrict values, REAL *restrict velocity,
                                   Rates rates) {
    for (Size i = 0; i < depth; i++) {
        REAL slope = 0;
        for (int row = 0; row < rows; row++) slope += gradient[row * outputs] * x[row * depth + i];
        sgd_update(values + i, velocity + i, slope, rates);
    }
}

/* Updates some weights of some outputs, of each those from place on, from their gradients [count, many]. */
static void update_outputs(const StepContext *context, const Layer *layer, Size first, Size count, Size place,
                           Size many, const REAL *gradient) {
    const Size pitch = pitch_of(layer);
    if (pitch == many)
        update(context, &layer->weight, first * many, count * many, gradient);
    else
        for (Size output = 0; output < count; output++)
            update(context, &layer->weight, (first + output) * pitch + layer->place + place, many,
                   gradient + output * many);
}

/* Updates the weights that see zeros only: nothing but decay changes them. */
static void update_unused(const StepContext *context, const Layer *layer) {
    const Size depth = depth_of(layer), pitch = pitch_of(layer), behind = layer->place + depth;
    if (pitch == depth || !layer->weight.trained || rates_of(context, &layer->weight).decay == 0) return;
    const REAL *zeros = memset(scratch_at(context, context->job->sums), 0, pitch * sizeof(REAL));
    for (Size output = 0; output < layer->shape.outputs; output++) {
        update(context, &layer->weight, output * pitch, layer->place, zeros);
        update(context, &layer->weight, output * pitch + behind, pitch - behind, zeros);
    }
}

/* Updates the weights from `rows` examples (or patches) x and the gradients of their outputs. */
static void weight_update(const StepContext *context, const Layer *layer, Size rows, const REAL *gradient,
                          const REAL *x) {
    const Size depth = depth_of(layer), outputs = layer->shape.outputs;
    const Parameter *weight = &layer->weight;
    REAL *sums = scratch_at(context, context->job->sums);
    if (!weight->trained) return;
    if (rows <= FEW_EXAMPLES && context->job->rule == SGD && weight->state[0]) {
        const Rates rates = rates_of(context, weight);
        for (Size output = 0; output < outputs; output++) {
            const Size at = context->lane * weight->size + output * pitch_of(layer) + layer->place;
#define UPDATE(number) \
    case number: \
        weight_update_from_few(number, depth, gradient + output, outputs, x, weight->values + at, weight->state[0] + at, \
                               rates); \
        break;
            switch (rows) { UPDATE(1) UPDATE(2) UPDATE(3) UPDATE(4) }
#undef UPDATE
        }
        return;
    }
    if (rows > MANY_EXAMPLES) { /* a part of them at a time, that stays in a near cache */
        for (Size first = 0; first < rows; first += EXAMPLES_AT_A_TIME)
            for (Size output = 0; output < outputs; output += ROWS)
                gemm(smaller(ROWS, outputs - output), depth, smaller(EXAMPLES_AT_A_TIME, rows - first),
                     gradient + first * outputs + output, 1, outputs, x + first * depth, depth, sums + output * depth,
                     depth, first > 0);
        update_outputs(context, layer, 0, outputs, 0, depth, sums);
        return;
    }
    const Size most = larger(WIDTH, EXAMPLE_BYTES / (rows * (Size)sizeof(REAL)) / WIDTH * WIDTH);
    for (Size place = 0; place < depth; place += most)
        for (Size output = 0; output < outputs; output += ROWS) {
            const Size count = smaller(ROWS, outputs - output); /* few, whose gradients stay in the nearest cache */
            const Size many = smaller(most, depth - place);
            gemm(count, many, rows, gradient + output, 1, outputs, x + place, depth, sums, many, 0);
            update_outputs(context, layer, output, count, place, many, sums);
        }
}

static void linear_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                            REAL *to) {
    const Size depth = layer->shape.channels, outputs = layer->shape.outputs;
    const Size rows = context->batch * output_positions(layer);
    const REAL *weight = weights_of(context, layer);
    if (to) gemm(rows, depth, outputs, gradient, outputs, 1, weight, layer->pitch, to, depth, 0);
    weight_update(context, layer, rows, gradient, x);
    update_unused(context, layer);
    update_bias(context, layer, gradient);
}

static void patches_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                             REAL *to) {
    const Job *job = context->job;
    const Shape *s = &layer->shape;
    const Size depth = patch_size(s), outputs = s->outputs;
    const Size images = images_at_a_time(s, context->batch), most = lines_at_a_time(s, images);
    const int whole = context->batch * s->rows == most; /* all patches are there at a time */
    REAL *padded = scratch_at(context, job->padded), *weight = values_of(context, &layer->weight),
        *sums = scratch_at(context, job->sums);
    REAL *patches = scratch_at(context, job->patches), *patch_gradients = scratch_at(context, job->patch_gradients);
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first), all = count * s->rows;
        const REAL *here = gradient + first * output_size(layer);
        if (layer->weight.trained) {
            pad(s, count, x + first * input_size(layer), padded);
            for (Size line = 0; line < all; line += most) {
                const Size lines = smaller(most, all - line), rows = lines * s->columns;
                im2col(s, line, lines, padded, patches);
                if (!whole)
                    gemm(outputs, depth, rows, here + line * s->columns * outputs, 1, outputs, patches, depth, sums,
                            depth, first + line > 0);
            }
        }
        if (!to) continue;
        memset(padded, 0, count * padded_size(s) * sizeof(REAL));
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), rows = lines * s->columns;
            gemm(rows, depth, outputs, here + line * s->columns * outputs, outputs, 1, weight, depth,
                    patch_gradients, depth, 0);
            col2im(s, line, lines, padded, patch_gradients);
        }
        unpad(s, count, padded, to + first * input_size(layer));
    }
    if (layer->weight.trained && whole)
        weight_update(context, layer, context->batch * positions_of(s), gradient, patches);
    else if (layer->weight.trained)
        update(context, &layer->weight, 0, layer->weight.size, sums);
}

static void tiles_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                           REAL *to) {
    const Job *job = context->job;
    const Shape whole = with_whole_tiles(&layer->shape), *s = &whole;
    const Size channels = s->channels, outputs = s->outputs, kernel = part_size(outputs, channels);
    const Size images = images_at_a_time(s, context->batch), most = tile_lines_at_a_time(s, images);
    const int trained = layer->weight.trained;
    REAL *padded = scratch_at(context, job->padded), *padded_gradients = scratch_at(context, job->padded_gradients);
    REAL *kernels = scratch_at(context, job->kernels), *sums = scratch_at(context, job->transposed);
    REAL *input_tiles = scratch_at(context, job->input_tiles), *output_tiles = scratch_at(context, job->output_tiles);
    if (to) kernel_transform(s, values_of(context, &layer->weight), kernels);
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first), all = count * lines_of_tiles(s);
        if (trained) pad(s, count, x + first * input_size(layer), padded);
        if (to) memset(padded_gradients, 0, count * padded_size(s) * sizeof(REAL));
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), tiles = lines * tiles_of_line(s);
            const Size wide = part_size(tiles, outputs), deep = part_size(tiles, channels);
            output_transform_backward(s, line, lines, gradient + first * output_size(layer), output_tiles);
            if (trained) input_transform(s, line, lines, padded, input_tiles);
            for (Size part = 0; part < PARTS; part++) {
                if (trained)
                    gemm(outputs, channels, tiles, output_tiles + part * wide, 1, outputs, input_tiles + part * deep,
                         channels,
                            sums + part * kernel, channels, first + line > 0);
                if (to)
                    gemm(tiles, channels, outputs, output_tiles + part * wide, outputs, 1, kernels + part * kernel,
                         channels,
                            input_tiles + part * deep, channels, 0);
            }
            if (to) input_transform_backward(s, line, lines, padded_gradients, input_tiles);
        }
        if (to) unpad(s, count, padded_gradients, to + first * input_size(layer));
    }
    if (!trained) return;
    REAL *slopes = scratch_at(context, job->sums);
    kernel_transform_backward(s, sums, slopes);
    update(context, &layer->weight, 0, layer->weight.size, slopes);
}

static void convolution_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                                 REAL *to) {
    if (has_tiles(&layer->shape, context->batch))
        tiles_backward(context, layer, x, gradient, to);
    else
        patches_backward(context, layer, x, gradient, to);
    update_bias(context, layer, gradient);
}

#endif
