/* Each kind of layer forward, from a lane's activations to others, and backward, to their gradients and its parameters.

Activations and gradients are rows in memory: examples, of images their positions, each with its channels. A backward
function gives the gradient of its layer's input, unless to is null, and updates the layer's parameters. */

#ifndef LAYERS_H
#define LAYERS_H

#include <tgmath.h>

#include "attention.h"
#include "depthwise.h"
#include "functions.h"
#include "norm.h"
#include "pooling.h"
#include "weighted.h"

/* ---- norms ---- */

/* The rows of block `number` of a norm, and where they begin. */
static Block block_at(const StepContext *context, const Layer *layer, Size number, Size *first) {
    const Size positions = input_positions(layer), channels = layer->shape.channels;
    const Size chunk = layer->chunk && !layer->fixed ? layer->chunk : context->batch;
    Block block = {1, channels, layer->groups, layer->centered, layer->eps};
    if (layer->over == BATCH) block.rows = smaller(chunk, context->batch - number * chunk) * positions;
    if (layer->over == EXAMPLE) block.rows = positions;
    *first = number * (layer->over == BATCH ? chunk * positions : layer->over == EXAMPLE ? positions : 1);
    return block;
}

static void update_running_stats(const StepContext *context, const Layer *layer, const Block *block,
                                 const REAL *mean, const double *var) {
    const Size channels = block->channels, at = context->lane * channels;
    if (!layer->running_mean) return;
    const double count = (double)++layer->batches[context->lane];
    const REAL share = (REAL)(layer->momentum < 0 ? 1 / count : layer->momentum);
    const double unbiased = (double)block->rows / (block->rows - 1);
    REAL *running_mean = layer->running_mean + at, *running_var = layer->running_var + at;
    for (Size c = 0; c < channels; c++) {
        running_mean[c] += share * (mean[c] - running_mean[c]);
        running_var[c] += share * ((REAL)(var[c] * unbiased) - running_var[c]);
    }
}

static void norm_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size channels = layer->shape.channels, blocks = blocks_of(layer, context->batch);
    REAL *part = scratch_at(context, context->job->vectors);
    double *var = (double *)scratch_at(context, context->job->totals);
    for (Size number = 0, first; number < blocks; number++) {
        const Block block = block_at(context, layer, number, &first);
        REAL *mean = scratch_at(context, layer->statistics) + 2 * number * channels, *inverse = mean + channels;
        if (layer->fixed) {
            for (Size c = 0, at = context->lane * channels; c < channels; c++) {
                mean[c] = layer->running_mean[at + c];
                inverse[c] = (REAL)(1 / sqrt(layer->running_var[at + c] + layer->eps));
            }
        } else {
            moments(&block, x + first * channels, mean, inverse, var);
            if (layer->over == BATCH) update_running_stats(context, layer, &block, mean, var);
        }
        block_forward(&block, x + first * channels, mean, inverse, values_of(context, &layer->weight),
              values_of(context, &layer->bias), y + first * channels, part);
    }
}

static void norm_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                          REAL *to) {
    const Size channels = layer->shape.channels, blocks = blocks_of(layer, context->batch);
    const REAL *weight = values_of(context, &layer->weight);
    double *totals = (double *)scratch_at(context, context->job->totals);
    REAL *weight_gradient = scratch_at(context, context->job->sums), *bias_gradient = weight_gradient + channels;
    memset(weight_gradient, 0, 2 * channels * sizeof(REAL));
    for (Size number = 0, first; number < blocks; number++) {
        const Block block = block_at(context, layer, number, &first);
        const REAL *mean = scratch_at(context, layer->statistics) + 2 * number * channels, *inverse = mean + channels;
        block_backward(&block, layer->fixed, x + first * channels, mean, inverse, weight, gradient + first * channels,
                      to ? to + first * channels : 0, weight_gradient, bias_gradient, totals, totals + channels,
                      scratch_at(context, context->job->vectors));
    }
    if (weight && layer->weight.trained) update(context, &layer->weight, 0, channels, weight_gradient);
    if (layer->bias.size && layer->bias.trained) update(context, &layer->bias, 0, channels, bias_gradient);
}

/* ---- layers without parameters ---- */

static void activation_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = context->batch * output_size(layer);
    const REAL half = (REAL)0.5, root = (REAL)0.70710678118654752440;
    switch (layer->function) {
        case RELU: for (Size i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i]; break; /* nan stays */
        case RELU6: for (Size i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i] >= 6 ? 6 : x[i]; break;
        case SIGMOID: for (Size i = 0; i < count; i++) y[i] = 1 / (1 + exp_of(-x[i])); break;
        case TANH: for (Size i = 0; i < count; i++) y[i] = tanh(x[i]); break;
        case GELU: for (Size i = 0; i < count; i++) y[i] = half * x[i] * (1 + erf_of(x[i] * root)); break;
    }
}

static void activation_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                                REAL *to) {
    const Size count = context->batch * output_size(layer);
    const REAL *y = scratch_at(context, layer->output);
    const REAL half = (REAL)0.5, root = (REAL)0.70710678118654752440, density = (REAL)0.39894228040143267794;
    switch (layer->function) {
        case RELU: for (Size i = 0; i < count; i++) to[i] = y[i] <= 0 ? 0 : gradient[i]; break;
        case RELU6: for (Size i = 0; i < count; i++) to[i] = y[i] <= 0 || y[i] >= 6 ? 0 : gradient[i]; break;
        case SIGMOID: for (Size i = 0; i < count; i++) to[i] = gradient[i] * (1 - y[i]) * y[i]; break;
        case TANH: for (Size i = 0; i < count; i++) to[i] = gradient[i] * (1 - y[i] * y[i]); break;
        case GELU:
            for (Size i = 0; i < count; i++)
                to[i] = gradient[i] * (half * (1 + erf_of(x[i] * root)) + x[i] * density * exp_of(-half * x[i] * x[i]));
            break;
    }
}

/* Each image [from_rows, from_columns] transposed over: channels last become channels first, and back. */
static void transpose_images(Size batch, Size rows, Size columns, const REAL *from, REAL *to) {
    for (Size image = 0; image < batch; image++)
        for (Size row = 0; row < rows; row++)
            for (Size column = 0; column < columns; column++)
                to[(image * columns + column) * rows + row] = from[(image * rows + row) * columns + column];
}

static void add_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = context->batch * output_size(layer);
    const REAL *other = output_of(context, layer->inputs[1]);
    for (Size i = 0; i < count; i++) y[i] = x[i] + other[i];
}

/* Numbers, or their gradients, times factors that were drawn. */
static void drop(const StepContext *context, const Layer *layer, const REAL *from, REAL *to) {
    const Size count = context->batch * output_size(layer);
    const REAL *factors = layer->factors + (context->step * context->job->lanes + context->lane) * count;
    for (Size i = 0; i < count; i++) to[i] = from[i] * factors[i];
}

/* ---- custom layers ---- */

/* The buffers as they were before the step are kept for the way back. */
static void custom_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const REAL *in[1 + layer->tensor_count];
    REAL *out[1 + layer->tensor_count], *kept = scratch_at(context, layer->statistics);
    in[0] = x, out[0] = y;
    for (Size i = 0; i < layer->tensor_count; i++) {
        const Parameter *tensor = &layer->tensors[i];
        in[1 + i] = values_of(context, tensor);
        if (i < layer->parameter_count) continue;
        out[1 + i - layer->parameter_count] = values_of(context, tensor);
        in[1 + i] = memcpy(kept, values_of(context, tensor), tensor->size * sizeof(REAL));
        kept += tensors_size(layer, i, i + 1);
    }
    layer->forward(in, out, scratch_at(context, context->job->workspace));
}

static void custom_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                            REAL *to) {
    const REAL *in[2 + layer->tensor_count];
    REAL *out[1 + layer->tensor_count], *gradients = scratch_at(context, context->job->sums),
        *kept = scratch_at(context, layer->statistics);
    in[0] = x, in[1] = gradient, out[0] = to ? to : scratch_at(context, context->job->workspace) + layer->workspace;
    for (Size i = 0; i < layer->tensor_count; i++) {
        const Size size = tensors_size(layer, i, i + 1);
        in[2 + i] = i < layer->parameter_count ? values_of(context, &layer->tensors[i]) : kept;
        out[1 + i] = gradients;
        if (i < layer->parameter_count) gradients += size;
        else kept += size;
    }
    layer->backward(in, out, scratch_at(context, context->job->workspace));
    for (Size i = 0; i < layer->parameter_count; i++)
        if (layer->tensors[i].trained) update(context, &layer->tensors[i], 0, layer->tensors[i].size, out[1 + i]);
}

/* ---- any layer ---- */

static void forward(const StepContext *context, const Layer *layer) {
    const REAL *x = output_of(context, layer->inputs[0]);
    REAL *y = scratch_at(context, layer->output);
    switch (layer->kind) {
        case LINEAR:
        case CONVOLUTION: weighted_forward(context, layer, x, y); break;
        case NORM: norm_forward(context, layer, x, y); break;
        case ACTIVATION: activation_forward(context, layer, x, y); break;
        case AVERAGE: average_forward(context, layer, x, y); break;
        case CHANNELS_FIRST: transpose_images(context->batch, input_positions(layer), layer->shape.channels, x,
                                              y); break;
        case ADD: add_forward(context, layer, x, y); break;
        case SUBSAMPLE: subsample_forward(context, layer, x, y); break;
        case CUSTOM: custom_forward(context, layer, x, y); break;
        case PATCHES: cut(context, layer, 0, x, y); break;
        case POSITIONS: positions_forward(context, layer, x, y); break;
        case ATTENTION: attention_forward(context, layer, x, y); break;
        case DEPTHWISE: depthwise_forward(context, layer, x, y); break;
        case DROPOUT: drop(context, layer, x, y); break;
        case MAXIMUM: maximum_forward(context, layer, x, y); break;
    }
}

/* The memory of a slot; null for none. */
INLINE REAL *slot(const StepContext *context, int32_t number) {
    return number == NONE ? 0 : scratch_at(context, context->job->slots + number * context->job->slot_size);
}

static void backward(const StepContext *context, const Layer *layer) {
    const REAL *x = output_of(context, layer->inputs[0]), *gradient = slot(context, layer->gradient);
    REAL *to = slot(context, layer->to[0]);
    switch (layer->kind) {
        case LINEAR: linear_backward(context, layer, x, gradient, to); break;
        case CONVOLUTION: convolution_backward(context, layer, x, gradient, to); break;
        case NORM: norm_backward(context, layer, x, gradient, to); break;
        case ACTIVATION: activation_backward(context, layer, x, gradient, to); break;
        case AVERAGE: average_backward(context, layer, gradient, to); break;
        case CHANNELS_FIRST: transpose_images(context->batch, layer->shape.channels, input_positions(layer),
                                              gradient, to); break;
        case SUBSAMPLE: subsample_backward(context, layer, gradient, to); break;
        case CUSTOM: custom_backward(context, layer, x, gradient, to); break;
        case PATCHES: cut(context, layer, 1, gradient, to); break;
        case POSITIONS: positions_backward(context, layer, gradient, to); break;
        case ATTENTION: attention_backward(context, layer, x, gradient, to, slot(context, layer->to[1]),
                                           slot(context, layer->to[2])); break;
        case DEPTHWISE: depthwise_backward(context, layer, x, gradient, to); break;
        case DROPOUT: drop(context, layer, gradient, to); break;
        case MAXIMUM: maximum_backward(context, layer, x, gradient, to); break;
    }
    for (int way = 0; way < ways_of(layer); way++) {
        to = slot(context, layer->to[way]);
        if (layer->kind == ADD && to && to != gradient) memcpy(to, gradient,
            context->batch * output_size(layer) * sizeof(REAL));
        if (layer->plus[way] != NONE) add_numbers(to, slot(context, layer->plus[way]),
                                                  context->batch * input_size(layer));
    }
}

#endif
