/* Normalization of rows of channels.

A block of rows has its own statistics: the whole batch of batch normalization, an example or a position otherwise.
Within
a block, statistics are those of a group of channels; a group is one channel in batch and instance normalization. */

#ifndef NORM_H
#define NORM_H

#include <math.h>

#include "simd.h"

enum { PART = 128 }; /* rows whose sum is taken in REAL before it is added to the others in double */

typedef struct {
    Size rows, channels, groups; /* of a block */
    int centered;                /* whether the mean is subtracted */
    double eps;
} Block;

/* Sums over rows of x; of (x - mean)^2; or of y and y * (x - mean). */
enum Sum { SUM, SQUARES, SLOPES };

/* Sums of some vectors of channels, from channel c on; all but the last have WIDTH numbers, that one count. */
INLINE void sum_vectors(const int sum, const int vectors, Size count, Size rows, Size channels, const REAL *x,
                        const REAL *y, const REAL *mean, double *totals, double *slopes) {
    for (Size c = 0; c < (vectors - 1) * WIDTH + count; c++) totals[c] = 0;
    for (Size c = 0; sum == SLOPES && c < (vectors - 1) * WIDTH + count; c++) slopes[c] = 0;
    Vector shift[4];
    UNROLL for (int v = 0; v < vectors; v++)
        shift[v] = sum == SUM ? (Vector){0} : load_first(mean + v * WIDTH, v < vectors - 1 ? WIDTH : count);
    for (Size first = 0; first < rows; first += PART) {
        const Size end = smaller(rows, first + PART);
        Vector plain[4] = {{0}}, product[4] = {{0}};
        for (Size row = first; row < end; row++) {
            UNROLL for (int v = 0; v < vectors; v++) {
                const Size length = v < vectors - 1 ? WIDTH : count;
                const Vector value = load_first(x + row * channels + v * WIDTH, length) - shift[v];
                if (sum == SUM) plain[v] += value;
                if (sum == SQUARES) plain[v] += value * value;
                if (sum == SLOPES) {
                    const Vector slope = load_first(y + row * channels + v * WIDTH, length);
                    plain[v] += slope;
                    product[v] += slope * value;
                }
            }
        }
        UNROLL for (int v = 0; v < vectors; v++) {
            for (Size c = 0; c < (v < vectors - 1 ? WIDTH : count); c++) {
                totals[v * WIDTH + c] += plain[v][c];
                if (sum == SLOPES) slopes[v * WIDTH + c] += product[v][c];
            }
        }
    }
}

/* The sums of each channel, those of products in slopes. */
INLINE void sum_rows(const int sum, Size rows, Size channels, const REAL *x, const REAL *y, const REAL *mean,
                     double *totals, double *slopes) {
    Size c = 0;
#define SUMS(vectors, count) \
    sum_vectors(sum, vectors, count, rows, channels, x + c, y + c, mean + c, totals + c, slopes + c)
    for (; c + 4 * WIDTH <= channels; c += 4 * WIDTH) SUMS(4, WIDTH);
    for (; c + 2 * WIDTH <= channels; c += 2 * WIDTH) SUMS(2, WIDTH);
    for (; c + WIDTH <= channels; c += WIDTH) SUMS(1, WIDTH);
    if (c < channels) SUMS(1, channels - c);
#undef SUMS
}

/* Replaces each channel's total by the total of its group over the number of values, weighted if there are weights. */
static void pool(const Block *block, double *total, const REAL *weight) {
    const Size wide = block->channels / block->groups;
    const double share = 1.0 / (block->rows * wide);
    if (weight)
        for (Size c = 0; c < block->channels; c++) total[c] *= weight[c];
    for (Size c = 0; c < block->channels; c++) total[c] *= share;
    for (Size first = 0; wide > 1 && first < block->channels; first += wide) {
        double sum = 0;
        for (Size c = first; c < first + wide; c++) sum += total[c];
        for (Size c = first; c < first + wide; c++) total[c] = sum;
    }
}

/* ---- one row, of which each group has statistics of its own: sums are along the row ---- */

INLINE int is_row(const Block *block) { return block->rows == 1 && block->groups < block->channels; }

/* The mean of (x - shift)^power over a group of a row. */
INLINE double row_mean(const int power, Size count, const REAL *x, REAL shift) {
    double total = 0;
    for (Size first = 0; first < count; first += PART * WIDTH) {
        const Size end = smaller(count, first + PART * WIDTH);
        REAL sum = 0;
#pragma omp simd reduction(+ : sum)
        for (Size c = first; c < end; c++) sum += power == 1 ? x[c] - shift : (x[c] - shift) * (x[c] - shift);
        total += sum;
    }
    return total / count;
}

NOINLINE void row_moments(const Block *block, const REAL *x, REAL *mean, REAL *inverse, double *var) {
    const Size wide = block->channels / block->groups;
    for (Size first = 0; first < block->channels; first += wide) {
        const REAL center = block->centered ? (REAL)row_mean(1, wide, x + first, 0) : 0;
        const double square = row_mean(2, wide, x + first, center);
        const REAL root = (REAL)(1 / sqrt(square + block->eps));
        for (Size c = first; c < first + wide; c++) mean[c] = center, inverse[c] = root, var[c] = square;
    }
}

/* See block_backward. */
INLINE void row_backward(const int weighted, const Block *block, const REAL *restrict x, const REAL *restrict mean,
                         const REAL *restrict inverse, const REAL *restrict weight, const REAL *restrict gradient,
                         REAL *restrict to, REAL *restrict weight_gradient, REAL *restrict bias_gradient) {
    const Size wide = block->channels / block->groups;
    for (Size first = 0; first < block->channels; first += wide) {
        const REAL center = mean[first], root = inverse[first];
        double total = 0, slope = 0;
        for (Size start = first; start < first + wide; start += PART * WIDTH) {
            const Size end = smaller(first + wide, start + PART * WIDTH);
            REAL sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
            for (Size c = start; c < end; c++) {
                const REAL value = weighted ? gradient[c] * weight[c] : gradient[c];
                sum += value;
                product += value * (x[c] - center);
                weight_gradient[c] += gradient[c] * (x[c] - center) * root;
                bias_gradient[c] += gradient[c];
            }
            total += sum;
            slope += product;
        }
        if (!to) continue;
        const REAL offset = block->centered ? (REAL)(total / wide * root) : 0;
        const REAL factor = (REAL)(slope / wide * root * root * root);
        for (Size c = first; c < first + wide; c++) {
            const REAL value = weighted ? gradient[c] * weight[c] : gradient[c];
            to[c] = value * root - offset - (x[c] - center) * factor;
        }
    }
}

/* ---- a block of rows ---- */

/* The mean and the inverse of the root of variance plus eps, for each channel of a block; var has the variances. */
NOINLINE void moments(const Block *block, const REAL *x, REAL *mean, REAL *inverse, double *var) {
    if (is_row(block)) {
        row_moments(block, x, mean, inverse, var);
        return;
    }
    for (Size c = 0; c < block->channels; c++) mean[c] = 0;
    if (block->centered) {
        sum_rows(SUM, block->rows, block->channels, x, x, mean, var, var);
        pool(block, var, 0);
        for (Size c = 0; c < block->channels; c++) mean[c] = (REAL)var[c];
    }
    sum_rows(SQUARES, block->rows, block->channels, x, x, mean, var, var);
    pool(block, var, 0);
    for (Size c = 0; c < block->channels; c++) inverse[c] = (REAL)(1 / sqrt(var[c] + block->eps));
}

/* to = first * factor + offset + (second - shift) * slope for some vectors of channels; second may be null. */
INLINE void combine_vectors(const int vectors, Size count, Size rows, Size channels, const REAL *first,
                            const REAL *factor, const REAL *offset, const REAL *second, const REAL *shift,
                            const REAL *slope, REAL *to) {
    Vector a[4], b[4], c[4], d[4];
    UNROLL for (int v = 0; v < vectors; v++) {
        const Size length = v < vectors - 1 ? WIDTH : count;
        a[v] = load_first(factor + v * WIDTH, length);
        b[v] = load_first(offset + v * WIDTH, length);
        c[v] = load_first(shift + v * WIDTH, length);
        d[v] = load_first(slope + v * WIDTH, length);
    }
    for (Size row = 0; row < rows; row++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            const Size length = v < vectors - 1 ? WIDTH : count, at = row * channels + v * WIDTH;
            Vector value = load_first(first + at, length);
            if (second)
                value = value * a[v] + b[v] + (load_first(second + at, length) - c[v]) * d[v];
            else
                value = (value - c[v]) * a[v] + b[v];
            store_first(to + at, value, length);
        }
    }
}

/* to = first * factor + offset + (second - shift) * slope, or (first - shift) * factor + offset if second is null. */
INLINE void combine(Size rows, Size channels, const REAL *first, const REAL *factor, const REAL *offset,
                    const REAL *second, const REAL *shift, const REAL *slope, REAL *to) {
    Size c = 0;
#define COMBINE(vectors, count) \
    combine_vectors(vectors, count, rows, channels, first + c, factor + c, offset + c, second ? second + c : 0, \
                    shift + c, slope + c, to + c)
    for (; c + 2 * WIDTH <= channels; c += 2 * WIDTH) COMBINE(2, WIDTH);
    for (; c + WIDTH <= channels; c += WIDTH) COMBINE(1, WIDTH);
    if (c < channels) COMBINE(1, channels - c);
#undef COMBINE
}

/* y = (x - mean) * inverse * weight + bias. part has two numbers per channel. */
NOINLINE void block_forward(const Block *block, const REAL *x, const REAL *mean, const REAL *inverse,
                            const REAL *weight,
                  const REAL *bias, REAL *y, REAL *part) {
    REAL *scale = part, *shift = part + block->channels;
    for (Size c = 0; c < block->channels; c++) {
        scale[c] = weight ? inverse[c] * weight[c] : inverse[c];
        shift[c] = bias ? bias[c] : 0;
    }
    combine(block->rows, block->channels, x, scale, shift, 0, mean, mean, y);
}

/* Gradients of a block, from those of its output: of x, unless to is null, and added to those of weight and bias.

Statistics that are not taken from x (fixed) have no gradient. totals, slopes and part have a number, a number and three
per channel. */
NOINLINE void block_backward(const Block *block, int fixed, const REAL *x, const REAL *mean, const REAL *inverse,
                          const REAL *weight, const REAL *gradient, REAL *to, REAL *weight_gradient,
                          REAL *bias_gradient, double *totals, double *slopes, REAL *part) {
    const Size channels = block->channels;
    if (is_row(block) && !fixed) {
#define ROW(weighted) \
    row_backward(weighted, block, x, mean, inverse, weight, gradient, to, weight_gradient, bias_gradient)
        if (weight)
            ROW(1);
        else
            ROW(0);
#undef ROW
        return;
    }
    sum_rows(SLOPES, block->rows, channels, x, gradient, mean, totals, slopes);
    for (Size c = 0; c < channels; c++) {
        bias_gradient[c] += (REAL)totals[c];
        weight_gradient[c] += (REAL)(slopes[c] * inverse[c]);
    }
    if (!to) return;
    pool(block, totals, weight);
    pool(block, slopes, weight);
    REAL *scale = part, *offset = part + channels, *slope = part + 2 * channels;
    for (Size c = 0; c < channels; c++) {
        scale[c] = weight ? inverse[c] * weight[c] : inverse[c];
        offset[c] = fixed || !block->centered ? 0 : -(REAL)(totals[c] * inverse[c]);
        slope[c] = fixed ? 0 : -(REAL)(slopes[c] * inverse[c] * inverse[c] * inverse[c]);
    }
    combine(block->rows, channels, gradient, scale, offset, x, mean, slope, to);
}

#endif
