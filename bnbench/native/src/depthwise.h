/* Convolutions of each channel on its own: there are as many groups as channels, and as many outputs.

Images lie in memory with their channels last, and so do kernels here, [kernel_rows, kernel_columns, channels]: numbers
of a vector are those of neighbouring channels. */

#ifndef DEPTHWISE_H
#define DEPTHWISE_H

#include "weighted.h"

enum { COLUMNS = 4, ABREAST = 2 }; /* outputs and vectors of channels whose sums stay in registers */

INLINE Size kernel_size(const Shape *s) { return s->kernel_rows * s->kernel_columns; }

/* The kernels of weight[channels, kernel_size], or the same from the last number to the first. */
static void put_channels_last(const Shape *s, const REAL *weight, int turned, REAL *kernels) {
    const Size size = kernel_size(s);
    for (Size place = 0; place < size; place++)
        for (Size c = 0; c < s->channels; c++)
            kernels[place * s->channels + c] = weight[c * size + (turned ? size - 1 - place : place)];
}

/* Some neighbouring outputs for up to WIDTH channels, or for all of some vectors of channels. */
INLINE void convolve_columns(const int vectors, const int columns, Size count, const Shape *s, const REAL *image,
                             const REAL *kernels, const REAL *bias, REAL *y) {
    Vector sums[ABREAST][COLUMNS];
    UNROLL for (int v = 0; v < vectors; v++) {
        const Vector first = bias ? load_first(bias + v * WIDTH, count) : (Vector){0};
        UNROLL for (int column = 0; column < columns; column++) sums[v][column] = first;
    }
    for (Size row = 0; row < s->kernel_rows; row++) {
        const REAL *from = image + row * s->row_dilation * padded_width(s) * s->channels;
        for (Size place = 0; place < s->kernel_columns; place++, kernels += s->channels) {
            UNROLL for (int v = 0; v < vectors; v++) {
                const Vector weight = load_first(kernels + v * WIDTH, count);
                UNROLL for (int column = 0; column < columns; column++)
                    sums[v][column] += weight * load_first(from + column * s->column_stride * s->channels + v * WIDTH,
                                                           count);
            }
            from += s->column_dilation * s->channels;
        }
    }
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int column = 0; column < columns; column++)
            store_first(y + column * s->channels + v * WIDTH, sums[v][column], count);
}

/* The outputs of an image for some vectors of channels. */
INLINE void convolve_channels(const int vectors, Size count, const Shape *s, const REAL *image, const REAL *kernels,
                              const REAL *bias, REAL *y) {
    const Size step = s->column_stride * s->channels;
    for (Size row = 0; row < s->rows; row++) {
        const REAL *from = image + row * s->row_stride * padded_width(s) * s->channels;
        Size column = 0;
#define CONVOLVE(columns) \
    convolve_columns(vectors, columns, count, s, from + column * step, kernels, bias, y + column * s->channels)
        for (; column + COLUMNS <= s->columns; column += COLUMNS) CONVOLVE(COLUMNS);
        for (; column + 2 <= s->columns; column += 2) CONVOLVE(2);
        for (; column < s->columns; column++) CONVOLVE(1);
#undef CONVOLVE
        y += s->columns * s->channels;
    }
}

/* The outputs y of padded images; bias may be null. */
NOINLINE void convolve_each(const Shape *s, Size images, const REAL *padded, const REAL *kernels, const REAL *bias,
                            REAL *y) {
    for (Size image = 0; image < images; image++, padded += padded_size(s), y += positions_of(s) * s->channels) {
        Size c = 0;
#define CHANNELS(vectors, count) \
    convolve_channels(vectors, count, s, padded + c, kernels + c, bias ? bias + c : 0, y + c)
        for (; c + ABREAST * WIDTH <= s->channels; c += ABREAST * WIDTH) CHANNELS(ABREAST, WIDTH);
        for (; c + WIDTH <= s->channels; c += WIDTH) CHANNELS(1, WIDTH);
        if (c < s->channels) CHANNELS(1, s->channels - c);
#undef CHANNELS
    }
}

/* Adds an image's part to the gradients of some places of the kernels, rows by columns, for up to WIDTH channels. */
INLINE void add_slopes(const int rows, const int columns, Size count, const Shape *s, const REAL *image,
                       const REAL *gradient, REAL *slopes) {
    const Size line = padded_width(s) * s->channels, down = s->row_dilation * line, step = s->column_dilation * s->channels;
    Vector sums[9] = {{0}};
    for (Size row = 0; row < s->rows; row++) {
        const REAL *from = image + row * s->row_stride * line;
        for (Size column = 0; column < s->columns; column++, gradient += s->channels) {
            const Vector slope = load_first(gradient, count);
            UNROLL for (int i = 0; i < rows; i++)
                UNROLL for (int j = 0; j < columns; j++)
                    sums[i * columns + j] += slope * load_first(from + i * down + j * step, count);
            from += s->column_stride * s->channels;
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++) {
            REAL *to = slopes + (i * s->kernel_columns + j) * s->channels;
            store_first(to, load_first(to, count) + sums[i * columns + j], count);
        }
}

/* The same for all places, as many at a time as registers hold. */
INLINE void add_all_slopes(Size count, const Shape *s, const REAL *image, const REAL *gradient, REAL *slopes) {
    const Size down = s->row_dilation * padded_width(s) * s->channels, step = s->column_dilation * s->channels;
    const Size wide = s->kernel_columns, high = wide == 3 && s->kernel_rows % 3 == 0 ? 3 : 1;
    for (Size row = 0; row < s->kernel_rows; row += high) {
        const REAL *from = image + row * down;
        REAL *to = slopes + row * wide * s->channels;
        if (high == 3)
            add_slopes(3, 3, count, s, from, gradient, to);
        else if (wide == 5)
            add_slopes(1, 5, count, s, from, gradient, to);
        else if (wide == 7)
            add_slopes(1, 7, count, s, from, gradient, to);
        else
            for (Size place = 0; place < wide; place++)
                add_slopes(1, 1, count, s, from + place * step, gradient, to + place * s->channels);
    }
}

/* Adds the gradients of kernels from padded images and the gradients of their outputs. */
NOINLINE void slopes_of_each(const Shape *s, Size images, const REAL *padded, const REAL *gradient, REAL *slopes) {
    const Size channels = s->channels;
    for (Size image = 0; image < images; image++, padded += padded_size(s), gradient += positions_of(s) * channels) {
        Size c = 0;
        for (; c + WIDTH <= channels; c += WIDTH) add_all_slopes(WIDTH, s, padded + c, gradient + c, slopes + c);
        if (c < channels) add_all_slopes(channels - c, s, padded + c, gradient + c, slopes + c);
    }
}

/* Adds the gradients of padded images from those of their outputs. */
NOINLINE void spread_each(const Shape *s, Size images, const REAL *gradient, const REAL *kernels, REAL *padded) {
    const Size channels = s->channels, line = padded_width(s) * channels;
    for (Size image = 0; image < images; image++, padded += padded_size(s), gradient += positions_of(s) * channels)
        for (Size place = 0; place < kernel_size(s); place++) {
            const REAL *weight = kernels + place * channels, *slope = gradient;
            REAL *start = padded + place / s->kernel_columns * s->row_dilation * line +
                          place % s->kernel_columns * s->column_dilation * channels;
            for (Size row = 0; row < s->rows; row++)
                for (Size column = 0; column < s->columns; column++, slope += channels) {
                    REAL *to = start + row * s->row_stride * line + column * s->column_stride * channels;
#pragma omp simd
                    for (Size c = 0; c < channels; c++) to[c] += weight[c] * slope[c];
                }
        }
}

/* The shape of the convolution that makes gradients of images of those of outputs, or one of no images if none does. */
INLINE Shape turned_round(const Shape *s) {
    const Size rows = s->row_dilation * (s->kernel_rows - 1), columns = s->column_dilation * (s->kernel_columns - 1);
    Shape turned = *s;
    turned.height = s->rows, turned.width = s->columns, turned.rows = s->height, turned.columns = s->width;
    turned.top = rows - s->top, turned.bottom = rows - s->bottom;
    turned.left = columns - s->left, turned.right = columns - s->right;
    const int fits = turned.top >= 0 && turned.bottom >= 0 && turned.left >= 0 && turned.right >= 0;
    if (!fits || s->row_stride > 1 || s->column_stride > 1) memset(&turned, 0, sizeof turned);
    return turned;
}

/* ---- layers ---- */

static void convolve_batch(const StepContext *context, const Shape *s, const REAL *x, const REAL *bias, REAL *y) {
    const Size images = images_at_a_time(s, context->batch), before = s->height * s->width * s->channels;
    REAL *padded = scratch_at(context, context->job->padded);
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first);
        pad(s, count, x + first * before, padded);
        convolve_each(s, count, padded, scratch_at(context, context->job->transposed), bias,
                      y + first * positions_of(s) * s->channels);
    }
}

static void depthwise_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    put_channels_last(&layer->shape, values_of(context, &layer->weight), 0,
                      scratch_at(context, context->job->transposed));
    convolve_batch(context, &layer->shape, x, values_of(context, &layer->bias), y);
}

static void depthwise_to_images(const StepContext *context, const Layer *layer, const REAL *gradient, REAL *to) {
    const Shape *s = &layer->shape, turned = turned_round(s);
    const Size images = images_at_a_time(s, context->batch);
    REAL *padded = scratch_at(context, context->job->padded), *kernels = scratch_at(context, context->job->transposed);
    put_channels_last(s, values_of(context, &layer->weight), turned.channels > 0, kernels);
    if (turned.channels) {
        convolve_batch(context, &turned, gradient, 0, to);
        return;
    }
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first);
        memset(padded, 0, count * padded_size(s) * sizeof(REAL));
        spread_each(s, count, gradient + first * output_size(layer), kernels, padded);
        unpad(s, count, padded, to + first * input_size(layer));
    }
}

static void depthwise_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                               REAL *to) {
    const Shape *s = &layer->shape;
    const Size images = images_at_a_time(s, context->batch), size = kernel_size(s);
    REAL *padded = scratch_at(context, context->job->padded), *slopes = scratch_at(context, context->job->kernels),
         *sums = scratch_at(context, context->job->sums);
    if (to) depthwise_to_images(context, layer, gradient, to);
    update_bias(context, layer, gradient);
    if (!layer->weight.trained) return;
    memset(slopes, 0, layer->weight.size * sizeof(REAL));
    for (Size first = 0; first < context->batch; first += images) {
        const Size count = smaller(images, context->batch - first);
        pad(s, count, x + first * input_size(layer), padded);
        slopes_of_each(s, count, padded, gradient + first * output_size(layer), slopes);
    }
    for (Size c = 0; c < s->channels; c++)
        for (Size place = 0; place < size; place++) sums[c * size + place] = slopes[place * s->channels + c];
    update(context, &layer->weight, 0, layer->weight.size, sums);
}

#endif
