/* Images as tokens, and tokens that look at each other. */

#ifndef ATTENTION_H
#define ATTENTION_H

#include "functions.h"
#include "gemm.h"
#include "optimizers.h"
#include "step_context.h"

/* Where in an image is number `index` of a token, whose channels come first, then its rows, then its columns. */
INLINE Size pixel_of(const Layer *layer, Size token, Size index) {
    const Shape *s = &layer->shape;
    const Size side = s->row_stride, across = s->width / side, inside = index % (side * side);
    const Size row = token / across * side + inside / side, column = token % across * side + inside % side;
    return (row * s->width + column) * s->channels + index / (side * side);
}

/* The numbers of tokens from the pixels of images, or back: each pixel is in one token. */
static void cut(const StepContext *context, const Layer *layer, int back, const REAL *from, REAL *to) {
    const Size tokens = output_positions(layer), outputs = layer->shape.outputs, size = tokens * outputs;
    for (Size token = 0; token < tokens; token++)
        for (Size index = 0; index < outputs; index++) {
            const Size pixel = pixel_of(layer, token, index), number = token * outputs + index;
            const Size source = back ? number : pixel, target = back ? pixel : number;
            for (Size example = 0; example < context->batch; example++)
                to[example * size + target] = from[example * size + source];
        }
}

/* Adds a vector to each token, the same for all examples. */
static void positions_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = output_size(layer);
    const REAL *table = values_of(context, &layer->weight);
    for (Size example = 0; example < context->batch; example++)
        for (Size i = 0; i < count; i++) y[example * count + i] = x[example * count + i] + table[i];
}

static void positions_backward(const StepContext *context, const Layer *layer, const REAL *gradient, REAL *to) {
    const Size count = output_size(layer);
    REAL *sums = scratch_at(context, context->job->sums);
    if (to) memcpy(to, gradient, context->batch * count * sizeof(REAL));
    if (!layer->weight.trained) return;
    memcpy(sums, gradient, count * sizeof(REAL));
    for (Size example = 1; example < context->batch; example++) add_numbers(sums, gradient + example * count, count);
    update(context, &layer->weight, 0, count, sums);
}

/* Products of queries and keys as how much a token sees of each other one, zero where it sees none. */
static void softmax(const Layer *layer, Size tokens, REAL scale, REAL *products) {
    for (Size token = 0; token < tokens; token++) {
        REAL *row = products + token * tokens, most = row[0], total = 0;
        const Size seen = layer->causal ? token + 1 : tokens;
        for (Size other = 1; other < seen; other++) most = row[other] > most ? row[other] : most;
        for (Size other = 0; other < seen; other++) row[other] = exp_of(scale * (row[other] - most));
        for (Size other = 0; other < seen; other++) total += row[other];
        for (Size other = 0; other < seen; other++) row[other] /= total;
        for (Size other = seen; other < tokens; other++) row[other] = 0;
    }
}

INLINE REAL scale_of(const Layer *layer) { return (REAL)(1 / sqrt((double)(layer->shape.channels / layer->groups))); }

/* softmax(q k' / root(E)) v of each head, whose E channels follow each other. */
static void attention_forward(const StepContext *context, const Layer *layer, const REAL *query, REAL *y) {
    const Size tokens = input_positions(layer), width = layer->shape.channels, heads = layer->groups;
    const REAL *key = output_of(context, layer->inputs[1]), *value = output_of(context, layer->inputs[2]);
    REAL *seen = scratch_at(context, layer->statistics);
    for (Size example = 0; example < context->batch; example++)
        for (Size head = 0; head < heads; head++, seen += tokens * tokens) {
            const Size at = example * tokens * width + head * (width / heads);
            dot_products(tokens, tokens, width / heads, query + at, width, key + at, width, seen, tokens);
            softmax(layer, tokens, scale_of(layer), seen);
            gemm(tokens, width / heads, tokens, seen, tokens, 1, value + at, width, y + at, width, 0);
        }
}

/* The gradients of queries, keys and values, each unless its place is null. */
static void attention_backward(const StepContext *context, const Layer *layer, const REAL *query, const REAL *gradient,
                               REAL *to_query, REAL *to_key, REAL *to_value) {
    const Size tokens = input_positions(layer), width = layer->shape.channels, heads = layer->groups;
    const Size each = width / heads;
    const REAL *key = output_of(context, layer->inputs[1]), *value = output_of(context, layer->inputs[2]);
    const REAL *seen = scratch_at(context, layer->statistics);
    REAL *slopes = scratch_at(context, context->job->workspace);
    for (Size example = 0; example < context->batch; example++)
        for (Size head = 0; head < heads; head++, seen += tokens * tokens) {
            const Size at = example * tokens * width + head * each;
            if (to_value) gemm(tokens, each, tokens, seen, 1, tokens, gradient + at, width, to_value + at, width, 0);
            dot_products(tokens, tokens, each, gradient + at, width, value + at, width, slopes, tokens);
            for (Size token = 0; token < tokens; token++) {
                REAL *row = slopes + token * tokens, mean = 0;
                const REAL *share = seen + token * tokens;
                for (Size other = 0; other < tokens; other++) mean += share[other] * row[other];
                for (Size other = 0; other < tokens; other++)
                    row[other] = scale_of(layer) * share[other] * (row[other] - mean);
            }
            if (to_query) gemm(tokens, each, tokens, slopes, tokens, 1, key + at, width, to_query + at, width, 0);
            if (to_key) gemm(tokens, each, tokens, slopes, 1, tokens, query + at, width, to_key + at, width, 0);
        }
}

#endif
