/* What each kind of layer does to a lane's activations, and on the way back to their gradients and its parameters.

Activations and gradients are rows in memory: examples, of images their positions, each with its channels. A backward
function gives the gradient of its layer's input, unless to is null, and updates the layer's parameters. */

#ifndef LAYERS_H
#define LAYERS_H

#include <tgmath.h>

#include "graph.h"
#include "convolution.h"
#include "norm.h"
#include "product.h"
#include "winograd.h"

enum { FEW_EXAMPLES = 4 }; /* up to so many, gradients of weights are not written out */

/* A lane at one step: what a layer needs to know beside its input. */
typedef struct {
    const Job *job;
    Size lane, batch;
    REAL lr, rate, root; /* rate and root: of Adam, lr and the means of squares being corrected for their beginning */
    const REAL *images;  /* with their channels last */
} Turn;

INLINE REAL *room(const Turn *turn, Size place) { return turn->job->scratch + place; }

/* What a layer put out, or the images. */
INLINE const REAL *output_of(const Turn *turn, int32_t index) {
    return index == NONE ? turn->images : room(turn, turn->job->layer[index].output);
}

INLINE REAL *values_of(const Turn *turn, const Parameter *parameter) {
    return parameter->size ? parameter->values + turn->lane * parameter->size : 0;
}

/* What an update needs to know beside the gradient. */
typedef struct {
    REAL lr, momentum, decay, rate, root, beta1, beta2, eps;
    int nesterov;
} Rates;

INLINE Rates rates_of(const Turn *turn, const Parameter *parameter) {
    const Job *job = turn->job;
    const Rates rates = {
        turn->lr, job->momentum[turn->lane], parameter->decays ? job->decay[turn->lane] : 0, turn->rate, turn->root,
        (REAL)job->beta1, (REAL)job->beta2, (REAL)job->eps, job->nesterov,
    };
    return rates;
}

/* One number's update as of torch.optim.SGD; velocity is null without momentum. */
INLINE void descend(REAL *value, REAL *velocity, REAL gradient, Rates rates) {
    REAL slope = gradient + rates.decay * *value;
    if (velocity) {
        *velocity = rates.momentum * *velocity + slope;
        slope = rates.nesterov ? slope + rates.momentum * *velocity : *velocity;
    }
    *value -= rates.lr * slope;
}

/* One number's update as of torch.optim.Adam, or AdamW, whose decay is no part of the gradient. */
INLINE void adapt(const int rule, REAL *value, REAL *mean, REAL *square, REAL gradient, Rates rates) {
    if (rule == ADAMW)
        *value *= 1 - rates.lr * rates.decay;
    else
        gradient += rates.decay * *value;
    *mean += (1 - rates.beta1) * (gradient - *mean);
    *square = rates.beta2 * *square + (1 - rates.beta2) * gradient * gradient;
    *value -= rates.rate * *mean / (sqrt(*square) / rates.root + rates.eps);
}

/* Updates count numbers of a parameter, from the first on. */
static void update(const Turn *turn, const Parameter *parameter, Size first, Size count, const REAL *restrict gradient) {
    const Rates rates = rates_of(turn, parameter);
    const Size at = turn->lane * parameter->size + first;
    REAL *restrict values = parameter->values + at, *restrict one = parameter->state[0], *restrict other = parameter->state[1];
    if (one) one += at;
    if (other) other += at;
    switch (turn->job->rule) {
        case ADAM: for (Size i = 0; i < count; i++) adapt(ADAM, values + i, one + i, other + i, gradient[i], rates); break;
        case ADAMW: for (Size i = 0; i < count; i++) adapt(ADAMW, values + i, one + i, other + i, gradient[i], rates); break;
        default:
            if (one)
                for (Size i = 0; i < count; i++) descend(values + i, one + i, gradient[i], rates);
            else
                for (Size i = 0; i < count; i++) descend(values + i, 0, gradient[i], rates);
    }
}

/* ---- linear layers and convolutions ---- */

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

static void convolve(const Turn *turn, const Layer *layer, const REAL *x, const REAL *weight, const REAL *turned,
                     REAL *y) {
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
        convolve(turn, layer, x, weight, turned, y);
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

static void convolution_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
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

/* ---- norms ---- */

/* The rows of block `number` of a norm, and where they begin. */
static Block block_at(const Turn *turn, const Layer *layer, Size number, Size *first) {
    const Size positions = input_positions(layer), channels = layer->shape.channels;
    const Size chunk = layer->chunk && !layer->fixed ? layer->chunk : turn->batch;
    Block block = {1, channels, layer->groups, layer->centered, layer->eps};
    if (layer->over == BATCH) block.rows = smaller(chunk, turn->batch - number * chunk) * positions;
    if (layer->over == EXAMPLE) block.rows = positions;
    *first = number * (layer->over == BATCH ? chunk * positions : layer->over == EXAMPLE ? positions : 1);
    return block;
}

static void take_up(const Turn *turn, const Layer *layer, const Block *block, const REAL *mean, const double *var) {
    const Size channels = block->channels, at = turn->lane * channels;
    if (!layer->running_mean) return;
    const double count = (double)++layer->batches[turn->lane];
    const REAL share = (REAL)(layer->momentum < 0 ? 1 / count : layer->momentum);
    const double unbiased = (double)block->rows / (block->rows - 1);
    REAL *running_mean = layer->running_mean + at, *running_var = layer->running_var + at;
    for (Size c = 0; c < channels; c++) {
        running_mean[c] += share * (mean[c] - running_mean[c]);
        running_var[c] += share * ((REAL)(var[c] * unbiased) - running_var[c]);
    }
}

static void normalize(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Size channels = layer->shape.channels, blocks = blocks_of(layer, turn->batch);
    REAL *part = room(turn, turn->job->vectors);
    double *var = (double *)room(turn, turn->job->totals);
    for (Size number = 0, first; number < blocks; number++) {
        const Block block = block_at(turn, layer, number, &first);
        REAL *mean = room(turn, layer->statistics) + 2 * number * channels, *inverse = mean + channels;
        if (layer->fixed) {
            for (Size c = 0, at = turn->lane * channels; c < channels; c++) {
                mean[c] = layer->running_mean[at + c];
                inverse[c] = (REAL)(1 / sqrt(layer->running_var[at + c] + layer->eps));
            }
        } else {
            measure(&block, x + first * channels, mean, inverse, var);
            if (layer->over == BATCH) take_up(turn, layer, &block, mean, var);
        }
        apply(&block, x + first * channels, mean, inverse, values_of(turn, &layer->weight),
              values_of(turn, &layer->bias), y + first * channels, part);
    }
}

static void norm_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const Size channels = layer->shape.channels, blocks = blocks_of(layer, turn->batch);
    const REAL *weight = values_of(turn, &layer->weight);
    double *totals = (double *)room(turn, turn->job->totals);
    REAL *weight_gradient = room(turn, turn->job->sums), *bias_gradient = weight_gradient + channels;
    memset(weight_gradient, 0, 2 * channels * sizeof(REAL));
    for (Size number = 0, first; number < blocks; number++) {
        const Block block = block_at(turn, layer, number, &first);
        const REAL *mean = room(turn, layer->statistics) + 2 * number * channels, *inverse = mean + channels;
        differentiate(&block, layer->fixed, x + first * channels, mean, inverse, weight, gradient + first * channels,
                      to ? to + first * channels : 0, weight_gradient, bias_gradient, totals, totals + channels,
                      room(turn, turn->job->vectors));
    }
    if (weight && layer->weight.trained) update(turn, &layer->weight, 0, channels, weight_gradient);
    if (layer->bias.size && layer->bias.trained) update(turn, &layer->bias, 0, channels, bias_gradient);
}

/* ---- layers without parameters ---- */

static void activate(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = turn->batch * output_size(layer);
    const REAL half = (REAL)0.5, root = (REAL)0.70710678118654752440;
    switch (layer->function) {
        case RELU: for (Size i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i]; break; /* nan stays */
        case SIGMOID: for (Size i = 0; i < count; i++) y[i] = 1 / (1 + exp(-x[i])); break;
        case TANH: for (Size i = 0; i < count; i++) y[i] = tanh(x[i]); break;
        case GELU: for (Size i = 0; i < count; i++) y[i] = half * x[i] * (1 + erf(x[i] * root)); break;
    }
}

static void activation_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const Size count = turn->batch * output_size(layer);
    const REAL *y = room(turn, layer->output);
    const REAL half = (REAL)0.5, root = (REAL)0.70710678118654752440, density = (REAL)0.39894228040143267794;
    switch (layer->function) {
        case RELU: for (Size i = 0; i < count; i++) to[i] = y[i] <= 0 ? 0 : gradient[i]; break;
        case SIGMOID: for (Size i = 0; i < count; i++) to[i] = gradient[i] * (1 - y[i]) * y[i]; break;
        case TANH: for (Size i = 0; i < count; i++) to[i] = gradient[i] * (1 - y[i] * y[i]); break;
        case GELU:
            for (Size i = 0; i < count; i++)
                to[i] = gradient[i] * (half * (1 + erf(x[i] * root)) + x[i] * density * exp(-half * x[i] * x[i]));
            break;
    }
}

/* The mean over the positions of each example. */
static void average(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Size positions = input_positions(layer), channels = layer->shape.channels;
    double *totals = (double *)room(turn, turn->job->totals);
    for (Size example = 0; example < turn->batch; example++) {
        const REAL *rows = x + example * positions * channels;
        sum_rows(SUM, positions, channels, rows, rows, rows, totals, totals);
        for (Size c = 0; c < channels; c++) y[example * channels + c] = (REAL)(totals[c] / positions);
    }
}

static void average_backward(const Turn *turn, const Layer *layer, const REAL *gradient, REAL *to) {
    const Size positions = input_positions(layer), channels = layer->shape.channels;
    for (Size row = 0; row < turn->batch * positions; row++)
        for (Size c = 0; c < channels; c++) to[row * channels + c] = gradient[row / positions * channels + c] / positions;
}

/* Each image [from_rows, from_columns] turned over: channels last become channels first, and back. */
static void turn_images(Size batch, Size rows, Size columns, const REAL *from, REAL *to) {
    for (Size image = 0; image < batch; image++)
        for (Size row = 0; row < rows; row++)
            for (Size column = 0; column < columns; column++)
                to[(image * columns + column) * rows + row] = from[(image * rows + row) * columns + column];
}

static void add(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = turn->batch * output_size(layer);
    const REAL *other = output_of(turn, layer->takes[1]);
    for (Size i = 0; i < count; i++) y[i] = x[i] + other[i];
}

/* Some rows and columns of images, and zeros for channels that come after theirs. */
static void subsample(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const Shape *s = &layer->shape;
    memset(y, 0, turn->batch * output_size(layer) * sizeof(REAL));
    for (Size line = 0; line < turn->batch * s->rows; line++)
        for (Size column = 0; column < s->columns; column++, y += s->outputs)
            memcpy(y, x + seen_at(s, line, column), s->channels * sizeof(REAL));
}

static void subsample_backward(const Turn *turn, const Layer *layer, const REAL *gradient, REAL *to) {
    const Shape *s = &layer->shape;
    memset(to, 0, turn->batch * input_size(layer) * sizeof(REAL));
    for (Size line = 0; line < turn->batch * s->rows; line++)
        for (Size column = 0; column < s->columns; column++, gradient += s->outputs)
            memcpy(to + seen_at(s, line, column), gradient, s->channels * sizeof(REAL));
}

/* ---- any layer ---- */

static void forward(const Turn *turn, const Layer *layer) {
    const REAL *x = output_of(turn, layer->takes[0]);
    REAL *y = room(turn, layer->output);
    switch (layer->kind) {
        case LINEAR:
        case CONVOLUTION: weigh(turn, layer, x, y); break;
        case NORM: normalize(turn, layer, x, y); break;
        case ACTIVATION: activate(turn, layer, x, y); break;
        case AVERAGE: average(turn, layer, x, y); break;
        case CHANNELS_FIRST: turn_images(turn->batch, input_positions(layer), layer->shape.channels, x, y); break;
        case ADD: add(turn, layer, x, y); break;
        case SUBSAMPLE: subsample(turn, layer, x, y); break;
    }
}

/* The gradient of a layer's output, of whose other gradients nothing is known. */
INLINE REAL *slot(const Turn *turn, int32_t number) {
    return number == NONE ? 0 : room(turn, turn->job->slots + number * turn->job->slot_size);
}

static void backward(const Turn *turn, const Layer *layer) {
    const REAL *x = output_of(turn, layer->takes[0]), *gradient = slot(turn, layer->gradient);
    REAL *to = slot(turn, layer->to[0]);
    switch (layer->kind) {
        case LINEAR: linear_backward(turn, layer, x, gradient, to); break;
        case CONVOLUTION:
            if (has_tiles(&layer->shape, turn->batch))
                tiles_backward(turn, layer, x, gradient, to);
            else
                convolution_backward(turn, layer, x, gradient, to);
            update_bias(turn, layer, gradient);
            break;
        case NORM: norm_backward(turn, layer, x, gradient, to); break;
        case ACTIVATION: activation_backward(turn, layer, x, gradient, to); break;
        case AVERAGE: average_backward(turn, layer, gradient, to); break;
        case CHANNELS_FIRST: turn_images(turn->batch, layer->shape.channels, input_positions(layer), gradient, to); break;
        case SUBSAMPLE: subsample_backward(turn, layer, gradient, to); break;
    }
    for (int way = 0; way < ways_of(layer); way++) {
        to = slot(turn, layer->to[way]);
        if (layer->kind == ADD && to && to != gradient) memcpy(to, gradient, turn->batch * output_size(layer) * sizeof(REAL));
        if (layer->plus[way] != NONE) add_numbers(to, slot(turn, layer->plus[way]), turn->batch * input_size(layer));
    }
}

#endif
