/* What each kind of layer does to a lane's activations, and on the way back to their gradients and its parameters.

Activations and gradients are rows in memory: examples, of images their positions, each with its channels. A backward
function gives the gradient of its layer's input, unless to is null, and updates the layer's parameters. */

#ifndef LAYERS_H
#define LAYERS_H

#include <tgmath.h>

#include "norm.h"
#include "weights.h"

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

/* ---- layers that were translated ---- */

/* The buffers as they were before the step are kept for the way back. */
static void translated_forward(const Turn *turn, const Layer *layer, const REAL *x, REAL *y) {
    const REAL *in[1 + layer->owned];
    REAL *out[1 + layer->owned], *kept = room(turn, layer->statistics);
    in[0] = x, out[0] = y;
    for (Size i = 0; i < layer->owned; i++) {
        const Parameter *own = &layer->own[i];
        in[1 + i] = values_of(turn, own);
        if (i < layer->parameters) continue;
        out[1 + i - layer->parameters] = values_of(turn, own);
        in[1 + i] = memcpy(kept, values_of(turn, own), own->size * sizeof(REAL));
        kept += own_size(layer, i, i + 1);
    }
    layer->ahead(in, out, room(turn, turn->job->translated));
}

static void translated_backward(const Turn *turn, const Layer *layer, const REAL *x, const REAL *gradient, REAL *to) {
    const REAL *in[2 + layer->owned];
    REAL *out[1 + layer->owned], *gradients = room(turn, turn->job->sums), *kept = room(turn, layer->statistics);
    in[0] = x, in[1] = gradient, out[0] = to ? to : room(turn, turn->job->translated) + layer->room;
    for (Size i = 0; i < layer->owned; i++) {
        const Size size = own_size(layer, i, i + 1);
        in[2 + i] = i < layer->parameters ? values_of(turn, &layer->own[i]) : kept;
        out[1 + i] = gradients;
        if (i < layer->parameters) gradients += size;
        else kept += size;
    }
    layer->back(in, out, room(turn, turn->job->translated));
    for (Size i = 0; i < layer->parameters; i++)
        if (layer->own[i].trained) update(turn, &layer->own[i], 0, layer->own[i].size, out[1 + i]);
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
        case TRANSLATED: translated_forward(turn, layer, x, y); break;
    }
}

/* The memory of a slot; null for none. */
INLINE REAL *slot(const Turn *turn, int32_t number) {
    return number == NONE ? 0 : room(turn, turn->job->slots + number * turn->job->slot_size);
}

static void backward(const Turn *turn, const Layer *layer) {
    const REAL *x = output_of(turn, layer->takes[0]), *gradient = slot(turn, layer->gradient);
    REAL *to = slot(turn, layer->to[0]);
    switch (layer->kind) {
        case LINEAR: linear_backward(turn, layer, x, gradient, to); break;
        case CONVOLUTION: convolution_backward(turn, layer, x, gradient, to); break;
        case NORM: norm_backward(turn, layer, x, gradient, to); break;
        case ACTIVATION: activation_backward(turn, layer, x, gradient, to); break;
        case AVERAGE: average_backward(turn, layer, gradient, to); break;
        case CHANNELS_FIRST: turn_images(turn->batch, layer->shape.channels, input_positions(layer), gradient, to); break;
        case SUBSAMPLE: subsample_backward(turn, layer, gradient, to); break;
        case TRANSLATED: translated_backward(turn, layer, x, gradient, to); break;
    }
    for (int way = 0; way < ways_of(layer); way++) {
        to = slot(turn, layer->to[way]);
        if (layer->kind == ADD && to && to != gradient) memcpy(to, gradient, turn->batch * output_size(layer) * sizeof(REAL));
        if (layer->plus[way] != NONE) add_numbers(to, slot(turn, layer->plus[way]), turn->batch * input_size(layer));
    }
}

#endif
