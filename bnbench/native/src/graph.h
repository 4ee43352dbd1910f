/* Layers that take what others put out, the work to do on them, and the memory for that. */

#ifndef GRAPH_H
#define GRAPH_H

#include "convolution.h"
#include "product.h"
#include "winograd.h"

enum Kind { LINEAR, CONVOLUTION, NORM, ACTIVATION, AVERAGE, CHANNELS_FIRST, ADD, SUBSAMPLE, TRANSLATED };
enum Function { RELU, SIGMOID, TANH, GELU };
enum Over { BATCH, EXAMPLE, POSITION }; /* what the statistics of a norm are of */
enum { NONE = -1 };                     /* no layer, but the images themselves; no slot */
enum Rule { SGD, ADAM, ADAMW };

/* The numbers of all lanes, one lane after another. */
typedef struct {
    REAL *values, *state[2]; /* of SGD the velocity, or null; of Adam the means of gradients and of their squares */
    Size size;               /* of a lane; 0: there is no such parameter */
    int32_t trained, decays;
} Parameter;

/* A layer's code from elsewhere: from tensors to others, with scratch memory. */
typedef void (*Translated)(const REAL *const *in, REAL *const *out, REAL *scratch);

typedef struct {
    int32_t kind, function, over, centered, fixed; /* fixed: normalized with the running statistics */
    int32_t takes[2];      /* the layers whose outputs it takes, both before it; only ADD takes a second one */
    Shape shape;           /* of a linear layer: images of one position; of layers without weights: outputs = channels */
    Size groups, chunk;    /* chunk: examples that a norm takes together, 0 for all */
    double eps, momentum;  /* momentum below 0: the running statistics are the average of all batches */
    Parameter weight, bias;
    REAL *running_mean, *running_var; /* null if there are none */
    int64_t *batches;
    Parameter *own;              /* of a translated layer, its parameters and then its buffers, whose size is in REAL */
    Size parameters, owned, room; /* how many; numbers of scratch memory */
    Translated ahead, back;
    Size output, statistics; /* places in the scratch memory, which plan finds, as all that follows */
    int32_t learns;          /* whether gradients are of use here: something is trained in it or before it */
    int32_t gradient;        /* the slot with the gradient of its output */
    int32_t to[2], plus[2];  /* the slots for the gradients of what it takes, and of what others gave of them before */
} Layer;

typedef struct {
    Size lanes, steps, batch, classes, layers;
    Layer *layer;                        /* the last one puts out the logits */
    const REAL *x;                       /* [steps, lanes, batch, channels, height, width] */
    const int64_t *y;                    /* [steps, lanes, batch] */
    const REAL *lr;                      /* [steps, lanes] */
    const REAL *momentum, *decay;        /* [lanes]; momentum: of SGD */
    REAL *losses, *logits;               /* [steps, lanes, batch], and classes */
    REAL *scratch;
    double *seconds;                     /* [layers, 2]: what forward and backward take is added; null: not measured */
    double smoothing, beta1, beta2, eps; /* beta1 and the following: of Adam */
    int32_t rule, nesterov;
    Size done;                           /* steps that were made before these */
    Size channels, positions;            /* of the images */
    Size slot_size;                      /* numbers of a slot, which plan finds, as the places that follow */
    Size input, slots, padded, padded_gradients, patches, patch_gradients, kernels, turned, seen, made, sums,
        vectors, totals, translated;
} Job;

INLINE Size input_positions(const Layer *layer) { return layer->shape.height * layer->shape.width; }

INLINE Size output_positions(const Layer *layer) { return layer->shape.rows * layer->shape.columns; }

INLINE Size input_size(const Layer *layer) { return input_positions(layer) * layer->shape.channels; }

INLINE Size output_size(const Layer *layer) { return output_positions(layer) * layer->shape.outputs; }

/* How many blocks of rows a norm takes statistics of. */
INLINE Size blocks_of(const Layer *layer, Size batch) {
    if (layer->over == BATCH) return layer->chunk && !layer->fixed ? (batch + layer->chunk - 1) / layer->chunk : 1;
    return layer->over == EXAMPLE ? batch : batch * input_positions(layer);
}

#ifndef GAP
#define GAP 0 /* numbers behind each place that nothing may change, for tests */
#endif

INLINE Size take_room(Size *next, Size count) {
    const Size place = *next;
    *next += (count + WIDTH - 1) / WIDTH * WIDTH + GAP;
    return place;
}

INLINE int is_trained(const Layer *layer) {
    for (Size i = 0; i < layer->parameters; i++)
        if (layer->own[i].trained) return 1;
    return (layer->weight.size && layer->weight.trained) || (layer->bias.size && layer->bias.trained);
}

INLINE int ways_of(const Layer *layer) { return layer->kind == ADD ? 2 : 1; }

/* Whether a layer's output may take the place of what it takes: nobody needs that on the way back. */
static int in_place(const Job *job, const Layer *layer) {
    const int replaces = layer->kind == ADD || (layer->kind == ACTIVATION && layer->function != GELU);
    if (!replaces || layer->takes[0] == NONE) return 0;
    const Layer *before = &job->layer[layer->takes[0]];
    if (before->kind == ACTIVATION) return 0;
    Size users = 0;
    for (const Layer *other = before; other < job->layer + job->layers; other++)
        for (int way = 0; way < ways_of(other); way++) users += other->takes[way] == layer->takes[0];
    return users == 1;
}

/* The first slot that nobody uses, which one does from now on. */
static int32_t take_slot(int32_t *users) {
    int32_t slot = 0;
    while (users[slot]) slot++;
    users[slot] = 1;
    return slot;
}

/* Finds slots for the gradients on their way back, and returns how many it takes. */
static Size plan_gradients(Job *job) {
    int32_t users[job->layers + 2], most = 0;
    memset(users, 0, sizeof users);
    for (Size index = 0; index < job->layers; index++) {
        Layer *layer = &job->layer[index];
        layer->learns = is_trained(layer), layer->gradient = NONE;
        for (int way = 0; way < ways_of(layer); way++)
            if (layer->takes[way] != NONE) layer->learns |= job->layer[layer->takes[way]].learns;
    }
    job->layer[job->layers - 1].gradient = take_slot(users);
    for (Layer *layer = job->layer + job->layers - 1; layer >= job->layer; layer--) {
        for (int way = 0; way < 2; way++) {
            layer->to[way] = layer->plus[way] = NONE;
            if (way >= ways_of(layer) || layer->takes[way] == NONE || layer->gradient == NONE) continue;
            Layer *before = &job->layer[layer->takes[way]];
            if (!before->learns) continue;
            layer->plus[way] = before->gradient;
            const int stays = layer->kind == ADD || (layer->kind == ACTIVATION && users[layer->gradient] == 1);
            if (stays && layer->plus[way] == NONE)
                users[layer->to[way] = layer->gradient]++;
            else
                layer->to[way] = take_slot(users);
            most = layer->to[way] > most ? layer->to[way] : most;
            if (layer->plus[way] != NONE) users[layer->plus[way]]--;
            before->gradient = layer->to[way];
        }
        if (layer->gradient != NONE) users[layer->gradient]--;
    }
    return most + 1;
}

/* How many numbers the tensors of a translated layer have, from one to another; each begins at a multiple of two. */
INLINE Size own_size(const Layer *layer, Size first, Size end) {
    Size size = 0;
    for (Size i = first; i < end; i++) size += (layer->own[i].size + 1) / 2 * 2;
    return size;
}

/* Divides the scratch memory and returns how many numbers it must hold. */
Size plan(Job *job) {
    Size next = 0, values = 0, padded = 0, patches = 0, kernels = 0, parts = 0, weights = 0, channels = 0, room = 0, own = 0;
    job->input = take_room(&next, job->batch * job->channels * job->positions);
    for (Layer *layer = job->layer; layer < job->layer + job->layers; layer++) {
        const Shape *s = &layer->shape;
        if (in_place(job, layer))
            layer->output = job->layer[layer->takes[0]].output;
        else
            layer->output = take_room(&next, job->batch * output_size(layer));
        const Size statistics = layer->kind == NORM ? 2 * blocks_of(layer, job->batch) * s->channels : 0;
        layer->statistics = take_room(&next, larger(statistics, own_size(layer, layer->parameters, layer->owned)));
        room = larger(room, layer->room);
        own = larger(own, own_size(layer, 0, layer->parameters));
        values = larger(values, job->batch * larger(input_size(layer), output_size(layer)));
        weights = larger(weights, layer->weight.size);
        channels = larger(channels, larger(s->channels, s->outputs));
        if (layer->kind != CONVOLUTION) continue;
        const int tiled = has_tiles(s, job->batch);
        const Shape seen = tiled ? with_whole_tiles(s) : *s;
        const Size images = images_at_a_time(&seen, job->batch);
        padded = larger(padded, images * padded_size(&seen) + WIDTH);
        if (tiled) {
            const Size tiles = tile_lines_at_a_time(s, images) * tiles_of_line(s);
            kernels = larger(kernels, PARTS * part_size(s->outputs, s->channels));
            parts = larger(parts, PARTS * part_size(tiles, larger(s->outputs, s->channels)));
        } else {
            patches = larger(patches, lines_at_a_time(s, images) * s->columns * patch_size(s) + WIDTH);
        }
    }
    job->slots = next;
    job->slot_size = 0;
    take_room(&job->slot_size, values);
    next += plan_gradients(job) * job->slot_size;
    job->padded = take_room(&next, padded);
    job->padded_gradients = take_room(&next, padded);
    job->patches = take_room(&next, patches);
    job->patch_gradients = take_room(&next, patches);
    job->kernels = take_room(&next, kernels);
    job->turned = take_room(&next, larger(weights, kernels));
    job->seen = take_room(&next, parts);
    job->made = take_room(&next, parts);
    job->sums = take_room(&next, larger(larger(weights, own), 2 * channels));
    job->vectors = take_room(&next, 3 * channels);
    job->totals = take_room(&next, 2 * channels * sizeof(double) / sizeof(REAL));
    job->translated = take_room(&next, own ? room + values : room); /* and a gradient that nobody wants */
    return next;
}

#endif
