/* Convolutions as products of weights and patches, some images at a time.

Images lie in memory with their channels last, patches as rows: the numbers that a kernel sees at one position. */

#ifndef CONVOLUTION_H
#define CONVOLUTION_H

#include "product.h"

typedef struct {
    Size height, width, channels;                /* of an input image */
    Size rows, columns, outputs;                 /* of an output image */
    Size kernel_rows, kernel_columns;
    Size row_stride, column_stride, row_dilation, column_dilation;
    Size top, left, bottom, right;               /* zeros around an input image */
} Shape;

enum {
    IMAGE_BYTES = 64 * 1024, /* of the padded images at a time */
    PATCH_BYTES = 96 * 1024, /* of the patches at a time: with their gradients they stay in a core's own cache */
};

INLINE Size padded_height(const Shape *s) { return s->top + s->height + s->bottom; }

INLINE Size padded_width(const Shape *s) { return s->left + s->width + s->right; }

INLINE Size padded_size(const Shape *s) { return padded_height(s) * padded_width(s) * s->channels; }

INLINE Size patch_size(const Shape *s) { return s->kernel_rows * s->kernel_columns * s->channels; }

INLINE Size positions_of(const Shape *s) { return s->rows * s->columns; }

INLINE Size images_at_a_time(const Shape *s, Size batch) {
    const Size images = IMAGE_BYTES / (padded_size(s) * sizeof(REAL));
    return smaller(images < 1 ? 1 : images, batch);
}

/* Rows of output positions whose patches are taken at a time, of those that some images have. */
INLINE Size lines_at_a_time(const Shape *s, Size images) {
    const Size lines = PATCH_BYTES / (s->columns * patch_size(s) * sizeof(REAL));
    return smaller(lines < 1 ? 1 : lines, images * s->rows);
}

INLINE REAL *put_zeros(REAL *to, Size count) {
    memset(to, 0, count * sizeof(REAL));
    return to + count;
}

/* Images with zeros around them. */
static void pad(const Shape *s, Size images, const REAL *from, REAL *to) {
    const Size line = s->width * s->channels, above = s->top * padded_width(s) * s->channels;
    for (Size image = 0; image < images; image++) {
        to = put_zeros(to, above);
        for (Size row = 0; row < s->height; row++, from += line) {
            to = put_zeros(to, s->left * s->channels);
            memcpy(to, from, line * sizeof(REAL));
            to = put_zeros(to + line, s->right * s->channels);
        }
        to = put_zeros(to, s->bottom * padded_width(s) * s->channels);
    }
}

/* What pad put zeros around. */
static void unpad(const Shape *s, Size batch, const REAL *padded, REAL *images) {
    const Size line = s->width * s->channels, padded_line = padded_width(s) * s->channels;
    for (Size image = 0; image < batch; image++)
        for (Size row = 0; row < s->height; row++)
            memcpy(images + (image * s->height + row) * line,
                   padded + image * padded_size(s) + (s->top + row) * padded_line + s->left * s->channels,
                   line * sizeof(REAL));
}

/* Copies numbers, and others behind them up to a whole vector. */
INLINE void copy_vectors(REAL *to, const REAL *from, Size count) {
    for (Size done = 0; done < count; done += WIDTH) store(to + done, load(from + done));
}

INLINE void add_numbers(REAL *to, const REAL *from, Size count) {
    Size done = 0;
    for (; done + WIDTH <= count; done += WIDTH) store(to + done, load(to + done) + load(from + done));
    for (; done < count; done++) to[done] += from[done];
}

/* Where in images without zeros around them the first position of a kernel is, for a row of some image's positions. */
INLINE Size seen_at(const Shape *s, Size line, Size column) {
    const Size image = line / s->rows, row = line % s->rows * s->row_stride;
    return ((image * s->height + row) * s->width + column * s->column_stride) * s->channels;
}

/* Copies padded images to patches, or adds patches to padded images, for some lines of a batch.

A piece of a patch lies together in an image: a row of the kernel, or a position of it if it is dilated. */
INLINE void exchange(const Shape *s, Size first, Size lines, REAL *padded, REAL *patches, int add) {
    const Size image_line = padded_width(s) * s->channels, together = s->column_dilation == 1;
    const Size pieces = together ? 1 : s->kernel_columns, length = patch_size(s) / s->kernel_rows / pieces;
    for (Size line = first; line < first + lines; line++) {
        REAL *image = padded + line / s->rows * padded_size(s) + line % s->rows * s->row_stride * image_line;
        for (Size column = 0; column < s->columns; column++, image += s->column_stride * s->channels) {
            for (Size row = 0; row < s->kernel_rows; row++) {
                REAL *seen = image + row * s->row_dilation * image_line;
                for (Size piece = 0; piece < pieces; piece++, patches += length) {
                    if (add)
                        add_numbers(seen, patches, length);
                    else
                        copy_vectors(patches, seen, length);
                    seen += s->column_dilation * s->channels;
                }
            }
        }
    }
}

/* Behind the patches and behind the images there is room for a vector. */
static void take_patches(const Shape *s, Size first, Size lines, const REAL *padded, REAL *patches) {
    exchange(s, first, lines, (REAL *)padded, patches, 0);
}

static void add_patches(const Shape *s, Size first, Size lines, REAL *padded, const REAL *patches) {
    exchange(s, first, lines, padded, (REAL *)patches, 1);
}

#endif
