/* Layers that take the outputs of others, and the steps to make with them. layout.h lists every field. */

#ifndef JOB_H
#define JOB_H

#include "im2col.h"

enum Kind { LINEAR, CONVOLUTION, NORM, ACTIVATION, AVERAGE, CHANNELS_FIRST, ADD, SUBSAMPLE, CUSTOM, PATCHES, POSITIONS, ATTENTION,
            DEPTHWISE, DROPOUT, MAXIMUM };
enum Function { RELU, SIGMOID, TANH, GELU, RELU6 };
enum { MOST_INPUTS = 3 };
enum Over { BATCH, EXAMPLE, POSITION }; /* the statistics of a norm are of one */
enum { NONE = -1 };                     /* no layer, but the images themselves; no slot */
enum Rule { SGD, ADAM, ADAMW };

/* The numbers of all lanes, one lane after another. */
typedef struct {
    REAL *values, *state[2]; /* of SGD the velocity, or null; of Adam the means of gradients and of their squares */
    Size size;               /* of a lane; 0: there is no such parameter */
    int32_t trained, decays;
} Parameter;

/* A custom layer's code: from tensors to others, with scratch memory. */
typedef void (*CustomFunction)(const REAL *const *in, REAL *const *out, REAL *scratch);

typedef struct {
    int32_t kind, function, over, centered, fixed; /* fixed: normalized with the running statistics */
    int32_t causal;        /* of ATTENTION: a token sees itself and those before it only */
    int32_t inputs[MOST_INPUTS]; /* the layers whose outputs it takes, all before it; see ways_of */
    Shape shape;
        /* tokens, and the vectors of a linear layer, are positions; of layers without weights: outputs = channels,
           but for PATCHES, whose side is the stride */
    Size groups, chunk;    /* groups: of ATTENTION its heads; chunk: examples that a norm takes together, 0 for all */
    double eps, momentum;  /* momentum below 0: the running statistics are the average of all batches */
    Parameter weight, bias;
    Size pitch, place;     /* of a linear layer: its weights of an output, of which those from place on are used, as many
                              as there are channels; the others see zeros only */
    REAL *running_mean, *running_var; /* null if there are none */
    int64_t *batches;
    const REAL *factors;   /* of DROPOUT, [steps, lanes, batch, outputs of an example] */
    Parameter *tensors;    /* of a custom layer, its parameters and then its buffers, whose size is in REAL */
    Size parameter_count, tensor_count;
    Size workspace;        /* numbers of scratch memory for its two functions */
    CustomFunction forward, backward;
    Size output, statistics; /* places in the scratch memory, which plan finds, as all that follows */
    int32_t needs_grad;      /* something is trained in it or before it */
    int32_t gradient;        /* the slot with the gradient of its output */
    int32_t to[MOST_INPUTS], plus[MOST_INPUTS];  /* the slots for the gradients of its inputs,
        and with those that others gave of them before */
} Layer;

typedef struct {
    Size lanes, steps, batch, classes, labels, layers; /* labels: of an example, one per position of the logits */
    Layer *layer;                        /* the last one puts out the logits, with the classes last */
    const REAL *x;                       /* [steps, lanes, batch, channels, height, width]; of predict
        [splits, steps, batch, ...] */
    const int64_t *y;                    /* [steps, lanes, batch, labels] */
    const REAL *lr;                      /* [steps, lanes] */
    const REAL *momentum, *decay;        /* [lanes]; momentum: of SGD */
    REAL *losses, *logits;               /* [steps, lanes, batch], and labels and classes */
    const int64_t *split;                /* [lanes]: of predict, whose images a lane is shown */
    REAL *scratch;
    double *seconds;                     /* [layers, 2]: what forward and backward take is added; null: not measured */
    double smoothing, beta1, beta2, eps; /* beta1 and the following: of Adam */
    int32_t rule, nesterov;
    Size steps_before;                   /* steps that were made before these */
    Size channels, positions;            /* of the images */
    Size slot_size;                      /* numbers of a slot, which plan finds, as the places that follow */
    Size input, slots, padded, padded_gradients, patches, patch_gradients, kernels, transposed, input_tiles,
        output_tiles, sums, vectors, totals, workspace;
} Job;

INLINE Size input_positions(const Layer *layer) { return layer->shape.height * layer->shape.width; }

INLINE Size output_positions(const Layer *layer) { return layer->shape.rows * layer->shape.columns; }

INLINE Size input_size(const Layer *layer) { return input_positions(layer) * layer->shape.channels; }

INLINE Size output_size(const Layer *layer) { return output_positions(layer) * layer->shape.outputs; }

/* The blocks of rows of a norm, each with its own statistics. */
INLINE Size blocks_of(const Layer *layer, Size batch) {
    if (layer->over == BATCH) return layer->chunk && !layer->fixed ? (batch + layer->chunk - 1) / layer->chunk : 1;
    return layer->over == EXAMPLE ? batch : batch * input_positions(layer);
}

/* Numbers that say how much each token sees of each other. */
INLINE Size products_of(const Layer *layer) { return input_positions(layer) * input_positions(layer); }

/* The number of its inputs. */
#define WAYS(kind) ((kind) == ADD ? 2 : (kind) == ATTENTION ? 3 : 1)
INLINE int ways_of(const Layer *layer) { return WAYS(layer->kind); }

/* Numbers in the tensors of a custom layer, from one to another; each begins at a multiple of two. */
INLINE Size tensors_size(const Layer *layer, Size first, Size end) {
    Size size = 0;
    for (Size i = first; i < end; i++) size += (layer->tensors[i].size + 1) / 2 * 2;
    return size;
}

#endif
