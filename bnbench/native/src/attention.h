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

/* Adds vectors to the first tokens, of which those that are put before the others were zeros; the same for all examples.
*/
static void positions_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size count = output_size(layer), given = input_size(layer), before = count - given;
    const REAL *table = values_of(context, &layer->weight);
    for (Size example = 0; example < context->batch; example++, x += given, y += count) {
        memset(y, 0, before * sizeof(REAL));
        memcpy(y + before, x, given * sizeof(REAL));
        add_numbers(y, table, layer->weight.size);
    }
}

static void positions_backward(const StepContext *context, const Layer *layer, const REAL *gradient, REAL *to) {
    const Size count = output_size(layer), given = input_size(layer), added = layer->weight.size;
    REAL *sums = scratch_at(context, context->job->sums);
    for (Size example = 0; to && example < context->batch; example++)
        memcpy(to + example * given, gradient + example * count + count - given, given * sizeof(REAL));
    if (!layer->weight.trained) return;
    memcpy(sums, gradient, added * sizeof(REAL));
    for (Size example = 1; example < context->batch; example++) add_numbers(sums, gradient + example * count, added);
    update(context, &layer->weight, 0, added, sums);
}

/* ---- attention ---- */

enum { TOGETHER = 16 }; /* tokens that are taken at a time: of causal ones, nothing behind them is reckoned */

/* The largest number of a row. */
INLINE REAL largest(Size count, const REAL *row) {
    REAL most = row[0];
    Size i = 0;
    if (count >= WIDTH) {
        Vector all = load(row);
        for (i = WIDTH; i + WIDTH <= count; i += WIDTH) {
            const Vector next = load(row + i);
            const Mask more = next > all;
            all = (Vector)(((Mask)next & more) | ((Mask)all & ~more));
        }
        REAL part[WIDTH];
        memcpy(part, &all, sizeof all);
        for (Size k = 0; k < WIDTH; k++) most = part[k] > most ? part[k] : most;
    }
    for (; i < count; i++) most = row[i] > most ? row[i] : most;
    return most;
}

INLINE REAL row_sum(Size count, const REAL *row) {
    Vector sum = {0};
    Size i = 0;
    for (; i + WIDTH <= count; i += WIDTH) sum += load(row + i);
    REAL total = sum_of(sum);
    for (; i < count; i++) total += row[i];
    return total;
}

/* In some rows, what is behind the token that the first one is of, and behind each other one, is `value`. */
static void hide(Size first, Size count, Size end, Size tokens, REAL value, REAL *rows) {
    for (Size row = 0; row < count; row++)
        for (Size other = first + row + 1; other < end; other++) rows[row * tokens + other] = value;
}

/* How much some tokens, the first of them `first`, see of those to `end`, from the products of queries and keys.
Each loop is over all rows: those of one row would wait for each other. */
NOINLINE void softmax(const Layer *layer, Size first, Size count, Size end, REAL scale, REAL *rows) {
    const Size tokens = input_positions(layer);
    REAL most[TOGETHER];
    if (layer->causal) hide(first, count, end, tokens, -(REAL)1e30, rows);
    for (Size row = 0; row < count; row++) most[row] = largest(end, rows + row * tokens);
    for (Size row = 0; row < count; row++)
        for (Size other = 0; other < end; other++)
            rows[row * tokens + other] = exp_of(scale * (rows[row * tokens + other] - most[row]));
    if (layer->causal) hide(first, count, end, tokens, 0, rows);
    for (Size row = 0; row < count; row++) {
        const REAL share = 1 / row_sum(end, rows + row * tokens);
        for (Size other = 0; other < end; other++) rows[row * tokens + other] *= share;
    }
}

/* The gradients of products from those of what a token sees of the others. */
static void softmax_backward(int end, REAL scale, const REAL *restrict share, REAL *restrict row) {
    REAL mean = 0;
#pragma omp simd reduction(+ : mean)
    for (int other = 0; other < end; other++) mean += share[other] * row[other];
    for (int other = 0; other < end; other++) row[other] = scale * share[other] * (row[other] - mean);
}

INLINE REAL scale_of(const Layer *layer) { return (REAL)(1 / sqrt((double)(layer->shape.channels / layer->groups))); }

/* The numbers of a head, [tokens, each] within rows of `width`, as [each, tokens]. */
static void transpose_head(Size tokens, Size each, const REAL *head, Size width, REAL *to) {
    for (Size k = 0; k < each; k++)
        for (Size token = 0; token < tokens; token++) to[k * tokens + token] = head[token * width + k];
}

/* softmax(q k' / root(E)) v of each head, whose E channels follow each other. */
static void attention_forward(const StepContext *context, const Layer *layer, const REAL *query, REAL *y) {
    const Size tokens = input_positions(layer), width = layer->shape.channels, heads = layer->groups;
    const Size each = width / heads;
    const REAL *key = output_of(context, layer->inputs[1]), *value = output_of(context, layer->inputs[2]);
    REAL *seen = scratch_at(context, layer->statistics), *keys = scratch_at(context, context->job->workspace);
    for (Size head = 0; head < context->batch * heads; head++, seen += tokens * tokens) {
        const Size at = head / heads * tokens * width + head % heads * each;
        transpose_head(tokens, each, key + at, width, keys);
        for (Size first = 0; first < tokens; first += TOGETHER) {
            const Size count = smaller(TOGETHER, tokens - first), end = layer->causal ? first + count : tokens;
            const Size here = at + first * width;
            REAL *rows = seen + first * tokens;
            gemm(count, end, each, query + here, width, 1, keys, tokens, rows, tokens, 0);
            softmax(layer, first, count, end, scale_of(layer), rows);
            gemm(count, each, end, rows, tokens, 1, value + at, width, y + here, width, 0);
        }
    }
}

/* The gradients of keys or values from those of what is seen of them, of products or shares [tokens, tokens]. */
static void gather_seen(const Layer *layer, const REAL *rows, const REAL *from, REAL *to) {
    const Size tokens = input_positions(layer), width = layer->shape.channels;
    for (Size first = 0; to && first < tokens; first += TOGETHER) {
        const Size begin = layer->causal ? first : 0;
        gemm(smaller(TOGETHER, tokens - first), width / layer->groups, tokens - begin, rows + begin * tokens + first, 1,
             tokens, from + begin * width, width, to + first * width, width, 0);
    }
}

/* The gradients of queries, keys and values, each unless its place is null. */
static void attention_backward(const StepContext *context, const Layer *layer, const REAL *query, const REAL *gradient,
                               REAL *to_query, REAL *to_key, REAL *to_value) {
    const Size tokens = input_positions(layer), width = layer->shape.channels, heads = layer->groups;
    const Size each = width / heads;
    const REAL *key = output_of(context, layer->inputs[1]), *value = output_of(context, layer->inputs[2]);
    const REAL *seen = scratch_at(context, layer->statistics);
    REAL *values = scratch_at(context, context->job->workspace), *slopes = values + tokens * each;
    for (Size head = 0; head < context->batch * heads; head++, seen += tokens * tokens) {
        const Size at = head / heads * tokens * width + head % heads * each;
        transpose_head(tokens, each, value + at, width, values);
        for (Size first = 0; first < tokens; first += TOGETHER) {
            const Size count = smaller(TOGETHER, tokens - first), end = layer->causal ? first + count : tokens;
            const Size here = at + first * width, row = first * tokens;
            gemm(count, end, each, gradient + here, width, 1, values, tokens, slopes + row, tokens, 0);
            for (Size token = row; token < row + count * tokens; token += tokens)
                softmax_backward((int)end, scale_of(layer), seen + token, slopes + token);
            if (to_query) gemm(count, each, end, slopes + row, tokens, 1, key + at, width, to_query + here, width, 0);
        }
        gather_seen(layer, seen, gradient + at, to_value ? to_value + at : 0);
        gather_seen(layer, slopes, query + at, to_key ? to_key + at : 0);
    }
}

#endif
