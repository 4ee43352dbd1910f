/* A network that is a chain of layers, the work to do on it, and the memory for that. */

#ifndef CHAIN_H
#define CHAIN_H

#include "convolution.h"
#include "product.h"

enum Kind { LINEAR, CONVOLUTION, NORM, ACTIVATION, AVERAGE, CHANNELS_FIRST };
enum Function { RELU, SIGMOID, TANH, GELU };
enum Over { BATCH, EXAMPLE, POSITION }; /* what the statistics of a norm are of */

/* The numbers of all lanes, one lane after another. */
typedef struct {
    REAL *values, *velocity; /* velocity: null without momentum */
    Size size;               /* of a lane; 0: there is no such parameter */
    int32_t trained, decays;
} Parameter;

typedef struct {
    int32_t kind, function, over, centered, fixed; /* fixed: normalized with the running statistics */
    Shape shape;           /* of a linear layer: images of one position; of layers without weights: outputs = channels */
    Size groups, chunk;    /* chunk: examples that a norm takes together, 0 for all */
    double eps, momentum;  /* momentum below 0: the running statistics are the average of all batches */
    Parameter weight, bias;
    REAL *running_mean, *running_var; /* null if there are none */
    int64_t *batches;
    Size output, statistics, padded;  /* places in the scratch memory, which plan finds */
} Layer;

typedef struct {
    Size lanes, steps, batch, classes, layers;
    Layer *layer;
    const REAL *x;                       /* [steps, lanes, batch, channels, height, width] */
    const int64_t *y;                    /* [steps, lanes, batch] */
    const REAL *lr;                      /* [steps, lanes] */
    const REAL *momentum, *decay;        /* [lanes] */
    REAL *losses, *logits;               /* [steps, lanes, batch], and classes */
    REAL *scratch;
    double *seconds;                     /* [layers, 2]: what forward and backward take is added; null: not measured */
    double smoothing;
    int32_t nesterov;
    Size input, gradients[2], padded_gradients, patches, patch_gradients, turned, sums, vectors, totals; /* places */
} Job;

INLINE Size input_positions(const Layer *layer) { return layer->shape.height * layer->shape.width; }

INLINE Size output_positions(const Layer *layer) { return layer->shape.rows * layer->shape.columns; }

INLINE Size input_size(const Layer *layer) { return input_positions(layer) * layer->shape.channels; }

INLINE Size output_size(const Layer *layer) { return output_positions(layer) * layer->shape.outputs; }

/* An activation whose gradient can be told from its output takes the place of its input. */
INLINE int in_place(const Layer *layer, const Layer *before) {
    return layer->kind == ACTIVATION && layer->function != GELU && before->kind != ACTIVATION;
}

/* How many blocks of rows a norm takes statistics of. */
INLINE Size blocks_of(const Layer *layer, Size batch) {
    if (layer->over == BATCH) return layer->chunk && !layer->fixed ? (batch + layer->chunk - 1) / layer->chunk : 1;
    return layer->over == EXAMPLE ? batch : batch * input_positions(layer);
}

INLINE Size larger(Size one, Size other) { return one > other ? one : other; }

INLINE Size take_room(Size *next, Size count) {
    const Size place = *next;
    *next += (count + WIDTH - 1) / WIDTH * WIDTH;
    return place;
}

/* Divides the scratch memory and returns how many numbers it must hold. */
Size plan(Job *job) {
    Size next = 0, values = 0, padded = 0, patches = 0, weights = 0, channels = 0;
    job->input = take_room(&next, job->batch * input_size(&job->layer[0]));
    for (Size index = 0; index < job->layers; index++) {
        Layer *layer = &job->layer[index];
        const Shape *s = &layer->shape;
        if (index > 0 && in_place(layer, layer - 1))
            layer->output = job->layer[index - 1].output;
        else
            layer->output = take_room(&next, job->batch * output_size(layer));
        layer->statistics = take_room(&next, layer->kind == NORM ? 2 * blocks_of(layer, job->batch) * s->channels : 0);
        layer->padded = take_room(&next, layer->kind == CONVOLUTION ? job->batch * padded_size(s) + WIDTH : 0);
        values = larger(values, job->batch * larger(input_size(layer), output_size(layer)));
        weights = larger(weights, layer->weight.size);
        channels = larger(channels, larger(s->channels, s->outputs));
        if (layer->kind == CONVOLUTION) {
            padded = larger(padded, job->batch * padded_size(s));
            patches = larger(patches, lines_at_a_time(s, job->batch) * s->columns * patch_size(s) + WIDTH);
        }
    }
    job->gradients[0] = take_room(&next, values);
    job->gradients[1] = take_room(&next, values);
    job->padded_gradients = take_room(&next, padded);
    job->patches = take_room(&next, patches);
    job->patch_gradients = take_room(&next, patches);
    job->turned = take_room(&next, weights);
    job->sums = take_room(&next, larger(weights, 2 * channels));
    job->vectors = take_room(&next, 3 * channels);
    job->totals = take_room(&next, 2 * channels * sizeof(double) / sizeof(REAL));
    return next;
}

#endif
