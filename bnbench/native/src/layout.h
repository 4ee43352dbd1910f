/* The structures and constants that callers mirror, field by field, for them to compare when they load this. */

#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>

#include "job.h"

/* Of a structure: no offset, and its size. Of a constant: its value, and no size. */
typedef struct {
    const char *name;
    int64_t offset, size;
} Entry;

#define STRUCTURE(type) {#type, 0, sizeof(type)}
#define FIELD(type, field) {#type "." #field, offsetof(type, field), sizeof(((type *)0)->field)}
#define CONSTANT(name) {#name, name, 0}
#define INPUTS(kind) {"inputs of " #kind, WAYS(kind), 0}

/* Ends with an entry without a name. */
const Entry layout[] = {
    FIELD(Shape, height), FIELD(Shape, width), FIELD(Shape, channels), FIELD(Shape, rows), FIELD(Shape, columns),
    FIELD(Shape, outputs), FIELD(Shape, kernel_rows), FIELD(Shape, kernel_columns), FIELD(Shape, row_stride),
    FIELD(Shape, column_stride), FIELD(Shape, row_dilation), FIELD(Shape, column_dilation), FIELD(Shape, top),
    FIELD(Shape, left), FIELD(Shape, bottom), FIELD(Shape, right), STRUCTURE(Shape),

    FIELD(Parameter, values), FIELD(Parameter, state), FIELD(Parameter, size), FIELD(Parameter, trained),
    FIELD(Parameter, decays), STRUCTURE(Parameter),

    FIELD(Layer, kind), FIELD(Layer, function), FIELD(Layer, over), FIELD(Layer, centered), FIELD(Layer, fixed),
    FIELD(Layer, causal), FIELD(Layer, inputs), FIELD(Layer, shape), FIELD(Layer, groups), FIELD(Layer, chunk), FIELD(Layer, eps),
    FIELD(Layer, momentum), FIELD(Layer, weight), FIELD(Layer, bias), FIELD(Layer, pitch), FIELD(Layer, place),
    FIELD(Layer, running_mean),
    FIELD(Layer, running_var), FIELD(Layer, batches), FIELD(Layer, factors), FIELD(Layer, tensors), FIELD(Layer, parameter_count),
    FIELD(Layer, tensor_count), FIELD(Layer, workspace), FIELD(Layer, forward), FIELD(Layer, backward),
    FIELD(Layer, output), FIELD(Layer, statistics), FIELD(Layer, needs_grad), FIELD(Layer, gradient), FIELD(Layer, to),
    FIELD(Layer, plus), STRUCTURE(Layer),

    FIELD(Job, lanes), FIELD(Job, steps), FIELD(Job, batch), FIELD(Job, classes), FIELD(Job, labels), FIELD(Job, layers),
    FIELD(Job, layer), FIELD(Job, x), FIELD(Job, y), FIELD(Job, lr), FIELD(Job, momentum), FIELD(Job, decay), FIELD(Job, losses),
    FIELD(Job, logits), FIELD(Job, split), FIELD(Job, scratch), FIELD(Job, seconds), FIELD(Job, smoothing), FIELD(Job, beta1),
    FIELD(Job, beta2), FIELD(Job, eps), FIELD(Job, rule), FIELD(Job, nesterov), FIELD(Job, steps_before),
    FIELD(Job, channels), FIELD(Job, positions), FIELD(Job, slot_size), FIELD(Job, input), FIELD(Job, slots),
    FIELD(Job, padded), FIELD(Job, padded_gradients), FIELD(Job, patches), FIELD(Job, patch_gradients),
    FIELD(Job, kernels), FIELD(Job, transposed), FIELD(Job, input_tiles), FIELD(Job, output_tiles), FIELD(Job, sums),
    FIELD(Job, vectors), FIELD(Job, totals), FIELD(Job, workspace), STRUCTURE(Job),

    CONSTANT(LINEAR), CONSTANT(CONVOLUTION), CONSTANT(NORM), CONSTANT(ACTIVATION), CONSTANT(AVERAGE),
    CONSTANT(CHANNELS_FIRST), CONSTANT(ADD), CONSTANT(SUBSAMPLE), CONSTANT(CUSTOM), CONSTANT(PATCHES), CONSTANT(POSITIONS),
    CONSTANT(ATTENTION), CONSTANT(DEPTHWISE), CONSTANT(DROPOUT), CONSTANT(MAXIMUM), CONSTANT(MOST_INPUTS), CONSTANT(NONE), CONSTANT(RELU),
    CONSTANT(SIGMOID), CONSTANT(TANH), CONSTANT(GELU), CONSTANT(RELU6), CONSTANT(BATCH), CONSTANT(EXAMPLE), CONSTANT(POSITION),
    CONSTANT(SGD), CONSTANT(ADAM), CONSTANT(ADAMW),

    INPUTS(LINEAR), INPUTS(CONVOLUTION), INPUTS(NORM), INPUTS(ACTIVATION), INPUTS(AVERAGE), INPUTS(CHANNELS_FIRST),
    INPUTS(ADD), INPUTS(SUBSAMPLE), INPUTS(CUSTOM), INPUTS(PATCHES), INPUTS(POSITIONS), INPUTS(ATTENTION),
    INPUTS(DEPTHWISE), INPUTS(DROPOUT), INPUTS(MAXIMUM),

    {0, 0, 0},
};

#endif
