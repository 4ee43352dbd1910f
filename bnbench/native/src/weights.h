/* Layers with weights: linear ones and convolutions. */

#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "convolution.h"
#include "norm.h"
#include "product.h"
#include "update.h"
#include "winograd.h"

enum { FEW_EXAMPLES = 4 }; /* up to so many, gradients of weights are not written out */

INLINE Size depth_of(const Layer *layer) {
    return layer->kind == LINEAR ? layer->shape.channels : patch_size(&layer->shape);
}

/* y[rows, outputs] = x weight', for x with as many numbers from one row to the next as there are in a row. */
static void times_weight(const Layer *layer, Size rows, const REAL *x, const REAL *weight, const REAL *turned, REAL *y) {
    const Size depth = depth_of(layer), outputs = layer->shape.outputs;
    if (turned)
        product(rows, outputs, depth, x, depth, 1, turned, outputs, y, outputs, 0);
    else
        dot_products(rows, outputs, depth, x, depth, weight, depth, y, outputs);
}

static void convolve_patches(const Turn *turn, const Layer *layer, const REAL *x, const REAL *weight,
                             const REAL *turned, REAL *y) {
    const Shape *s = &layer->shape;
    const Size images = images_at_a_time(s, turn->batch), most = lines_at_a_time(s, images);
    REAL *padded = room(turn, turn->job->padded), *patches = room(turn, turn->job->patches);
    for (Size first = 0; first < turn->batch; first += images) {
        const Size count = smaller(images, turn->batch - first), all = count * s->rows;
        pad(s, count, x + first * input_size(layer), padded);
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line);
            take_patches(s, line, lines, padded, patches);
            times_weight(layer, lines * s->columns, patches, weight, turned,
                         y + (first * s->rows + line) * s->columns * s->outputs);
        }
    }
}

static void convolve_tiles(const Turn *turn, const Layer *layer, const REAL *x, const REAL *weight, REAL *y) {
    const Shape whole = with_whole_tiles(&layer->shape), *s = &whole;
    const Size channels = s->channels, outputs = s->outputs, kernel = part_size(outputs, channels);
    const Size images = images_at_a_time(s, turn->batch), most = tile_lines_at_a_time(s, images);
    REAL *padded = room(turn, turn->job->padded), *kernels = room(turn, turn->job->kernels);
    REAL *turned = room(turn, turn->job->turned), *seen = room(turn, turn->job->seen), *made = room(turn, turn->job->made);
    take_kernels(s, weight, kernels);
    for (Size part = 0; part < PARTS; part++)
        transpose(outputs, channels, kernels + part * kernel, turned + part * kernel);
    for (Size first = 0; first < turn->batch; first += images) {
        const Size count = smaller(images, turn->batch - first), all = count * lines_of_tiles(s);
        pad(s, count, x + first * input_size(layer), padded);
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), tiles = lines * tiles_of_line(s);
            take_seen(s, line, lines, padded, seen);
            for (Size part = 0; part < PARTS; part++)
                product(tiles, outputs, channels, seen + part * part_size(tiles, channels), channels, 1,
                        turned + part * kernel, outputs, made + part * part_size(tiles, outputs), outputs, 0);
            give_made(s, line, lines, made, y + first * output_size(layer));
        }
    }
}

static void weigh(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Size outputs = layer->shape.outputs, rows = turn->batch * output_positions(layer);
    const REAL *weight = values_of(turn, &layer->weight), *bias = values_of(turn, &layer->bias);
    const int tiles = layer->kind == CONVOLUTION && has_tiles(&layer->shape, turn->batch);
    REAL *turned = rows > FEW_ROWS ? room(turn, turn->job->turned) : 0;
    if (turned && !tiles) transpose(outputs, depth_of(layer), weight, turned);
    if (tiles)
        convolve_tiles(turn, layer, x, weight, y);
    else if (layer->kind == CONVOLUTION)
        convolve_patches(turn, layer, x, weight, turned, y);
    else
        times_weight(layer, rows, x, weight, turned, y);
    for (Size row = 0; bias && row < rows; row++) add_numbers(y + row * outputs, bias, outputs);
}

static void update_bias(const Turn *turn, const Layer *layer, const REAL *gradient) {
    const Size rows = turn->batch * output_positions(layer), outputs = layer->shape.outputs;
    if (!layer->bias.size || !layer->bias.trained) return;
    double *totals = (double *)room(turn, turn->job->totals);
    REAL *sums = room(turn, turn->job->sums);
    sum_rows(SUM, rows, outputs, gradient, gradient, gradient, totals, totals);
    for (Size output = 0; output < outputs; output++) sums[output] = (REAL)totals[output];
    update(turn, &layer->bias, 0, outputs, sums);
}

/* Updates the weights of an output from few examples (or patches), whose number is known when this is compiled. */
INLINE void learn_from(const int rows, Size depth, const REAL *gradient, Size outputs, const REAL *restrict x,
                       REAL *restrict values, REAL *restrict velocity, Rates rates) {
    for (Size i = 0; i < depth; i++) {
        REAL slope = 0;
        for (int row = 0; row < rows; row++) slope += gradient[row * outputs] * x[row * depth + i];
        descend(values + i, velocity + i, slope, rates);
    }
}

/* Updates the weights by what `rows` examples (or patches) x and the gradients of their outputs tell. */
static void learn(const Turn *turn, const Layer *layer, Size rows, const REAL *gradient, const REAL *x) {
    const Size depth = depth_of(layer), outputs = layer->shape.outputs;
    const Parameter *weight = &layer->weight;
    REAL *sums = room(turn, turn->job->sums);
    if (!weight->trained) return;
    if (rows <= FEW_EXAMPLES && turn->job->rule == SGD && weight->state[0]) {
        const Rates rates = rates_of(turn, weight);
        for (Size output = 0; output < outputs; output++) {
            const Size at = turn->lane * weight->size + output * depth;
#define LEARN(number) \
    case number: \
        learn_from(number, depth, gradient + output, outputs, x, weight->values + at, weight->state[0] + at, rates); break;
            switch (rows) { LEARN(1) LEARN(2) LEARN(3) LEARN(4) }
#undef LEARN
        }
        return;
    }
    for (Size output = 0; output < outputs; output += ROWS) {
        const Size count = smaller(ROWS, outputs - output); /* few, whose gradients stay in the nearest cache */
        product(count, depth, rows, gradient + output, 1, outputs, x, depth, sums, depth, 0);
        update(turn, weight, output * depth, count * depth, sums);
    }
}

static void linear_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const Size depth = layer->shape.channels, outputs = layer->shape.outputs;
    if (to) product(turn->batch, depth, outputs, gradient, outputs, 1, values_of(turn, &layer->weight), depth, to, depth, 0);
    learn(turn, layer, turn->batch, gradient, x);
    update_bias(turn, layer, gradient);
}

static void patches_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const Job *job = turn->job;
    const Shape *s = &layer->shape;
    const Size depth = patch_size(s), outputs = s->outputs;
    const Size images = images_at_a_time(s, turn->batch), most = lines_at_a_time(s, images);
    const int whole = turn->batch * s->rows == most; /* all patches are there at a time */
    REAL *padded = room(turn, job->padded), *weight = values_of(turn, &layer->weight), *sums = room(turn, job->sums);
    REAL *patches = room(turn, job->patches), *patch_gradients = room(turn, job->patch_gradients);
    for (Size first = 0; first < turn->batch; first += images) {
        const Size count = smaller(images, turn->batch - first), all = count * s->rows;
        const REAL *here = gradient + first * output_size(layer);
        if (layer->weight.trained) {
            pad(s, count, x + first * input_size(layer), padded);
            for (Size line = 0; line < all; line += most) {
                const Size lines = smaller(most, all - line), rows = lines * s->columns;
                take_patches(s, line, lines, padded, patches);
                if (!whole)
                    product(outputs, depth, rows, here + line * s->columns * outputs, 1, outputs, patches, depth, sums,
                            depth, first + line > 0);
            }
        }
        if (!to) continue;
        memset(padded, 0, count * padded_size(s) * sizeof(REAL));
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), rows = lines * s->columns;
            product(rows, depth, outputs, here + line * s->columns * outputs, outputs, 1, weight, depth,
                    patch_gradients, depth, 0);
            add_patches(s, line, lines, padded, patch_gradients);
        }
        unpad(s, count, padded, to + first * input_size(layer));
    }
    if (layer->weight.trained && whole)
        learn(turn, layer, turn->batch * positions_of(s), gradient, patches);
    else if (layer->weight.trained)
        update(turn, &layer->weight, 0, layer->weight.size, sums);
}

static void tiles_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const Job *job = turn->job;
    const Shape whole = with_whole_tiles(&layer->shape), *s = &whole;
    const Size channels = s->channels, outputs = s->outputs, kernel = part_size(outputs, channels);
    const Size images = images_at_a_time(s, turn->batch), most = tile_lines_at_a_time(s, images);
    const int learns = layer->weight.trained;
    REAL *padded = room(turn, job->padded), *padded_gradients = room(turn, job->padded_gradients);
    REAL *kernels = room(turn, job->kernels), *sums = room(turn, job->turned);
    REAL *seen = room(turn, job->seen), *made = room(turn, job->made);
    if (to) take_kernels(s, values_of(turn, &layer->weight), kernels);
    for (Size first = 0; first < turn->batch; first += images) {
        const Size count = smaller(images, turn->batch - first), all = count * lines_of_tiles(s);
        if (learns) pad(s, count, x + first * input_size(layer), padded);
        if (to) memset(padded_gradients, 0, count * padded_size(s) * sizeof(REAL));
        for (Size line = 0; line < all; line += most) {
            const Size lines = smaller(most, all - line), tiles = lines * tiles_of_line(s);
            const Size wide = part_size(tiles, outputs), deep = part_size(tiles, channels);
            take_made(s, line, lines, gradient + first * output_size(layer), made);
            if (learns) take_seen(s, line, lines, padded, seen);
            for (Size part = 0; part < PARTS; part++) {
                if (learns)
                    product(outputs, channels, tiles, made + part * wide, 1, outputs, seen + part * deep, channels,
                            sums + part * kernel, channels, first + line > 0);
                if (to)
                    product(tiles, channels, outputs, made + part * wide, outputs, 1, kernels + part * kernel, channels,
                            seen + part * deep, channels, 0);
            }
            if (to) add_seen(s, line, lines, padded_gradients, seen);
        }
        if (to) unpad(s, count, padded_gradients, to + first * input_size(layer));
    }
    if (!learns) return;
    REAL *slopes = room(turn, job->sums);
    give_kernels(s, sums, slopes);
    update(turn, &layer->weight, 0, layer->weight.size, slopes);
}

static void convolution_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    if (has_tiles(&layer->shape, turn->batch))
        tiles_backward(turn, layer, x, gradient, to);
    else
        patches_backward(turn, layer, x, gradient, to);
    update_bias(turn, layer, gradient);
}

#endif
