/* Convolutions by the minimal filtering algorithm F(2x2, 3x3) of Lavin and Gray (2016, arXiv:1509.09308).

Four outputs of a 3x3 kernel, a tile, take 16 products in place of 36: B'dB of the 4x4 numbers d that they see, times GgG'
of the kernel g, are the 16 parts of the tile, from which A'(...)A makes the outputs. As products of matrices: for each
part, of tiles and channels with channels and outputs. What is linear can be turned round: the gradients of tiles and
kernels are made from those of outputs by the transposed matrices. */

#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "convolution.h"

enum {
    PARTS = 16,
    PART_BYTES = 160 * 1024, /* of the parts of tiles at a time */
    LEAST_TILES = 48,        /* but so many at least */
};

/* One dimension of a transformation: B', G and A', and the same transposed. */
enum Map { SEEN, KERNEL, MADE, SEEN_BACK, KERNEL_BACK, MADE_BACK };

/* How many numbers a transformation takes and gives. */
INLINE int given_to(const int map) { return map == KERNEL ? 3 : map == MADE_BACK ? 2 : 4; }

INLINE int given_by(const int map) { return map == MADE ? 2 : map == KERNEL_BACK ? 3 : 4; }

INLINE void transform_line(const int map, const Vector *x, Vector *y, const int step) {
    const REAL half = (REAL)0.5;
    const Vector a = x[0], b = x[step], c = given_to(map) > 2 ? x[2 * step] : a, d = given_to(map) > 3 ? x[3 * step] : a;
    switch (map) {
        case SEEN: y[0] = a - c, y[step] = b + c, y[2 * step] = c - b, y[3 * step] = b - d; break;
        case KERNEL: y[0] = a, y[step] = half * (a + b + c), y[2 * step] = half * (a - b + c), y[3 * step] = c; break;
        case MADE: y[0] = a + b + c, y[step] = b - c - d; break;
        case SEEN_BACK: y[0] = a, y[step] = b - c + d, y[2 * step] = b + c - a, y[3 * step] = -d; break;
        case KERNEL_BACK: y[0] = a + half * (b + c), y[step] = half * (b - c), y[2 * step] = half * (b + c) + d; break;
        case MADE_BACK: y[0] = a, y[step] = a + b, y[2 * step] = a - b, y[3 * step] = -b; break;
    }
}

/* Where the numbers of a square are: in rows and columns, each a vector of channels. */
typedef struct {
    REAL *at;
    Size row, column;
} Square;

/* Transforms a square for up to WIDTH channels. Of outputs, only the first rows and columns may exist; what tiles see is
added up where it comes back. */
INLINE void transform(const int map, const int whole, Size count, Square from, Square to, Size rows, Size columns) {
    Vector x[PARTS], y[PARTS];
    UNROLL for (int i = 0; i < given_to(map); i++) {
        UNROLL for (int j = 0; j < given_to(map); j++) {
            const int exists = map != MADE_BACK || (i < rows && j < columns);
            const REAL *place = from.at + i * from.row + j * from.column;
            x[4 * i + j] = exists ? load_first(place, whole ? WIDTH : count) : (Vector){0};
        }
    }
    UNROLL for (int j = 0; j < given_to(map); j++) transform_line(map, x + j, y + j, 4);
    UNROLL for (int i = 0; i < given_by(map); i++) transform_line(map, y + 4 * i, x + 4 * i, 1);
    UNROLL for (int i = 0; i < given_by(map); i++) {
        UNROLL for (int j = 0; j < given_by(map); j++) {
            REAL *place = to.at + i * to.row + j * to.column;
            if (map == MADE && (i >= rows || j >= columns)) continue;
            if (map == SEEN_BACK) x[4 * i + j] += load_first(place, whole ? WIDTH : count);
            store_first(place, x[4 * i + j], whole ? WIDTH : count);
        }
    }
}

/* The same for all channels. */
INLINE void transform_channels(const int map, Size channels, Square from, Square to, Size rows, Size columns) {
    Size c = 0;
    for (; c + WIDTH <= channels; c += WIDTH, from.at += WIDTH, to.at += WIDTH)
        transform(map, 1, WIDTH, from, to, rows, columns);
    if (c < channels) transform(map, 0, channels - c, from, to, rows, columns);
}

INLINE int has_tiles(const Shape *s, Size batch) {
    return s->kernel_rows == 3 && s->kernel_columns == 3 && s->row_stride == 1 && s->column_stride == 1 &&
           s->row_dilation == 1 && s->column_dilation == 1 && s->channels >= WIDTH && s->outputs >= WIDTH &&
           batch * positions_of(s) > FEW_ROWS;
}

INLINE Size tiles_of_line(const Shape *s) { return (s->columns + 1) / 2; }

INLINE Size lines_of_tiles(const Shape *s) { return (s->rows + 1) / 2; }

/* The shape with as many zeros around the images as whole tiles see. */
INLINE Shape with_whole_tiles(const Shape *s) {
    Shape whole = *s;
    whole.bottom += s->rows % 2, whole.right += s->columns % 2;
    return whole;
}

/* Numbers from one part to the next: not a power of two, which would put all of them into few lines of a cache. */
INLINE Size part_size(Size tiles, Size channels) { return tiles * channels + 2 * WIDTH; }

/* Lines of tiles at a time, of those that some images have. */
INLINE Size tile_lines_at_a_time(const Shape *s, Size images) {
    const Size tiles = PART_BYTES / (PARTS * larger(s->channels, s->outputs) * sizeof(REAL));
    return smaller((larger(LEAST_TILES, tiles) - 1) / tiles_of_line(s) + 1, images * lines_of_tiles(s));
}

/* Transforms kernels weight[outputs, 9, channels] to parts[PARTS, outputs, channels]. */
static void take_kernels(const Shape *s, const REAL *weight, REAL *parts) {
    const Size channels = s->channels, part = part_size(s->outputs, channels);
    for (Size output = 0; output < s->outputs; output++) {
        const Square from = {(REAL *)weight + output * 9 * channels, 3 * channels, channels};
        const Square to = {parts + output * channels, 4 * part, part};
        transform_channels(KERNEL, channels, from, to, 2, 2);
    }
}

/* The other way for their gradients. */
static void give_kernels(const Shape *s, const REAL *parts, REAL *weight) {
    const Size channels = s->channels, part = part_size(s->outputs, channels);
    for (Size output = 0; output < s->outputs; output++) {
        const Square from = {(REAL *)parts + output * channels, 4 * part, part};
        const Square to = {weight + output * 9 * channels, 3 * channels, channels};
        transform_channels(KERNEL_BACK, channels, from, to, 2, 2);
    }
}

/* Transforms what some lines of tiles see in padded images to parts[PARTS, tiles, channels], or adds it the other way. */
INLINE void exchange_seen(const int map, const Shape *s, Size first, Size lines, REAL *padded, REAL *parts) {
    const Size channels = s->channels, image_line = padded_width(s) * channels, tiles = tiles_of_line(s);
    const Size part = part_size(lines * tiles, channels);
    for (Size line = first; line < first + lines; line++) {
        REAL *image = padded + line / lines_of_tiles(s) * padded_size(s) + line % lines_of_tiles(s) * 2 * image_line;
        for (Size tile = 0; tile < tiles; tile++, image += 2 * channels, parts += channels) {
            const Square seen = {image, image_line, channels}, apart = {parts, 4 * part, part};
            if (map == SEEN)
                transform_channels(SEEN, channels, seen, apart, 2, 2);
            else
                transform_channels(SEEN_BACK, channels, apart, seen, 2, 2);
        }
    }
}

static void take_seen(const Shape *s, Size first, Size lines, const REAL *padded, REAL *parts) {
    exchange_seen(SEEN, s, first, lines, (REAL *)padded, parts);
}

static void add_seen(const Shape *s, Size first, Size lines, REAL *padded, const REAL *parts) {
    exchange_seen(SEEN_BACK, s, first, lines, padded, (REAL *)parts);
}

/* Makes the outputs y of some lines of tiles of parts[PARTS, tiles, outputs], or parts of their gradients. */
INLINE void exchange_made(const int map, const Shape *s, Size first, Size lines, REAL *y, REAL *parts) {
    const Size outputs = s->outputs, y_line = s->columns * outputs, tiles = tiles_of_line(s);
    const Size part = part_size(lines * tiles, outputs);
    for (Size line = first; line < first + lines; line++) {
        const Size row = line % lines_of_tiles(s) * 2, rows = smaller(2, s->rows - row);
        REAL *made = y + line / lines_of_tiles(s) * s->rows * y_line + row * y_line;
        for (Size tile = 0; tile < tiles; tile++, made += 2 * outputs, parts += outputs) {
            const Size columns = smaller(2, s->columns - 2 * tile);
            const Square square = {made, y_line, outputs}, apart = {parts, 4 * part, part};
            if (map == MADE)
                transform_channels(MADE, outputs, apart, square, rows, columns);
            else
                transform_channels(MADE_BACK, outputs, square, apart, rows, columns);
        }
    }
}

static void give_made(const Shape *s, Size first, Size lines, const REAL *parts, REAL *y) {
    exchange_made(MADE, s, first, lines, y, (REAL *)parts);
}

static void take_made(const Shape *s, Size first, Size lines, const REAL *gradient, REAL *parts) {
    exchange_made(MADE_BACK, s, first, lines, (REAL *)gradient, parts);
}

#endif
