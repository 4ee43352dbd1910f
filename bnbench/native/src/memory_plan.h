/* Places in a job's scratch memory: outputs, slots of gradients that take turns, and what layers need in between. */

#ifndef MEMORY_PLAN_H
#define MEMORY_PLAN_H

#include <string.h>

#include "depthwise.h"
#include "job.h"
#include "winograd.h"

#ifndef GAP
#define GAP 0 /* numbers behind each place that nothing may change, for tests */
#endif

INLINE Size reserve(Size *next, Size count) {
    const Size place = *next;
    *next += (count + WIDTH - 1) / WIDTH * WIDTH + GAP;
    return place;
}

INLINE int is_trained(const Layer *layer) {
    for (Size i = 0; i < layer->parameter_count; i++)
        if (layer->tensors[i].trained) return 1;
    return (layer->weight.size && layer->weight.trained) || (layer->bias.size && layer->bias.trained);
}

/* True if a layer's output may take the place of its input, which nobody needs on the way back. */
static int in_place(const Job *job, const Layer *layer) {
    const int replaces = layer->kind == ADD || (layer->kind == ACTIVATION && layer->function != GELU);
    if (!replaces || layer->inputs[0] == NONE) return 0;
    const Layer *before = &job->layer[layer->inputs[0]];
    if (before->kind == ACTIVATION || before->kind == MAXIMUM) return 0;
    Size users = 0;
    for (const Layer *other = before; other < job->layer + job->layers; other++)
        for (int way = 0; way < ways_of(other); way++) users += other->inputs[way] == layer->inputs[0];
    return users == 1;
}

/* The first slot that nobody uses, which one does from now on. */
static int32_t take_slot(int32_t *users) {
    int32_t slot = 0;
    while (users[slot]) slot++;
    users[slot] = 1;
    return slot;
}

/* Notes the layers that need gradients. */
static void mark_gradients(Job *job) {
    for (Size index = 0; index < job->layers; index++) {
        Layer *layer = &job->layer[index];
        layer->needs_grad = is_trained(layer), layer->gradient = NONE;
        for (int way = 0; way < ways_of(layer); way++)
            if (layer->inputs[way] != NONE) layer->needs_grad |= job->layer[layer->inputs[way]].needs_grad;
    }
}

/* Finds slots for the gradients on their way back, and returns their number. */
static Size plan_gradients(Job *job) {
    int32_t users[job->layers + MOST_INPUTS], most = 0;
    memset(users, 0, sizeof users);
    mark_gradients(job);
    job->layer[job->layers - 1].gradient = take_slot(users);
    for (Layer *layer = job->layer + job->layers - 1; layer >= job->layer; layer--) {
        for (int way = 0; way < MOST_INPUTS; way++) {
            layer->to[way] = layer->plus[way] = NONE;
            if (way >= ways_of(layer) || layer->inputs[way] == NONE || layer->gradient == NONE) continue;
            Layer *before = &job->layer[layer->inputs[way]];
            if (!before->needs_grad) continue;
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

/* Numbers that the largest layer needs of each kind. */
typedef struct {
    Size values, padded, patches, kernels, parts, weights, channels, workspace, tensors;
} Sizes;

static void count_convolution(const Shape *s, Size batch, Sizes *most) {
    const int tiled = has_tiles(s, batch);
    const Shape shape = tiled ? with_whole_tiles(s) : *s;
    const Size images = images_at_a_time(&shape, batch);
    most->padded = larger(most->padded, images * padded_size(&shape) + WIDTH);
    if (tiled) {
        const Size tiles = tile_lines_at_a_time(s, images) * tiles_of_line(s);
        most->kernels = larger(most->kernels, PARTS * part_size(s->outputs, s->channels));
        most->parts = larger(most->parts, PARTS * part_size(tiles, larger(s->outputs, s->channels)));
    } else {
        most->patches = larger(most->patches, lines_at_a_time(s, images) * s->columns * patch_size(s) + WIDTH);
    }
}

static void count_depthwise(const Shape *s, Size batch, Sizes *most) {
    const Shape turned = turned_round(s);
    most->padded = larger(most->padded, images_at_a_time(s, batch) * padded_size(s) + WIDTH);
    if (turned.channels)
        most->padded = larger(most->padded, images_at_a_time(&turned, batch) * padded_size(&turned) + WIDTH);
    most->kernels = larger(most->kernels, kernel_size(s) * s->channels);
}

static void count_layer(const Layer *layer, Size batch, Sizes *most) {
    most->workspace = larger(most->workspace, layer->workspace);
    if (layer->kind == ATTENTION) /* products, and a head's keys or values */
        most->workspace = larger(most->workspace, products_of(layer) + input_size(layer) / layer->groups);
    most->tensors = larger(most->tensors, tensors_size(layer, 0, layer->parameter_count));
    most->values = larger(most->values, batch * larger(input_size(layer), output_size(layer)));
    most->weights = larger(most->weights, layer->weight.size);
    most->channels = larger(most->channels, larger(layer->shape.channels, layer->shape.outputs));
    if (layer->kind == CONVOLUTION) count_convolution(&layer->shape, batch, most);
    if (layer->kind == DEPTHWISE) count_depthwise(&layer->shape, batch, most);
}

/* Places that one layer after the other uses. */
static void reserve_for_all(Job *job, Size *next, const Sizes *most) {
    job->padded = reserve(next, most->padded);
    job->padded_gradients = reserve(next, most->padded);
    job->patches = reserve(next, most->patches);
    job->patch_gradients = reserve(next, most->patches);
    job->kernels = reserve(next, most->kernels);
    job->transposed = reserve(next, larger(most->weights, most->kernels));
    job->input_tiles = reserve(next, most->parts);
    job->output_tiles = reserve(next, most->parts);
    job->sums = reserve(next, larger(larger(most->weights, most->tensors), 2 * most->channels));
    job->vectors = reserve(next, 3 * most->channels);
    job->totals = reserve(next, 2 * most->channels * sizeof(double) / sizeof(REAL));
    /* and a gradient that nobody wants */
    job->workspace = reserve(next, most->tensors ? most->workspace + most->values : most->workspace);
}

/* Divides the scratch memory and returns how many numbers it must hold. */
Size plan(Job *job) {
    Size next = 0;
    Sizes most = {0};
    job->input = reserve(&next, job->batch * job->channels * job->positions);
    for (Layer *layer = job->layer; layer < job->layer + job->layers; layer++) {
        if (in_place(job, layer))
            layer->output = job->layer[layer->inputs[0]].output;
        else
            layer->output = reserve(&next, job->batch * output_size(layer));
        const Size buffers = tensors_size(layer, layer->parameter_count, layer->tensor_count);
        Size statistics = layer->kind == NORM ? 2 * blocks_of(layer, job->batch) * layer->shape.channels : 0;
        if (layer->kind == ATTENTION) statistics = job->batch * layer->groups * products_of(layer);
        layer->statistics = reserve(&next, larger(statistics, buffers));
        count_layer(layer, job->batch, &most);
    }
    job->slots = next;
    job->slot_size = 0;
    reserve(&job->slot_size, most.values);
    next += plan_gradients(job) * job->slot_size;
    reserve_for_all(job, &next, &most);
    return next;
}

#endif
