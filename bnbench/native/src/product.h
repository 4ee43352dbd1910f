/* Products of small matrices on one core.

Matrices are rows in memory, one after another; ldb and ldc are what is from one row to the next. Sums are taken in an
order that depends on the shapes only. REAL is float or double. */

#ifndef PRODUCT_H
#define PRODUCT_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* A loop whose number of turns is known when this is compiled. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* A large function that is compiled once, whatever its callers know of its arguments. */
#define ALONE static __attribute__((noinline))

#define INLINE static inline __attribute__((always_inline))

typedef int64_t Size;
typedef REAL Vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef __typeof__((Vector){0} < (Vector){0}) Mask;

enum {
    WIDTH = VECTOR_BYTES / sizeof(REAL), /* numbers of a vector */
    ROWS = 6,                            /* of a tile of a product: its sums fill the registers */
    MOST_VECTORS = 6,                    /* of a tile of few rows */
    DOT_ROWS = 4,
    DOT_COLUMNS = 3, /* of a tile of dot products */
    FEW_ROWS = 16,   /* up to so many, products with a weight are quicker as it is than with the weight transposed */
};

INLINE Vector load(const REAL *from) { return *(const Vector *)from; }

INLINE void store(REAL *to, Vector value) { *(Vector *)to = value; }

/* The first count numbers, which are 1 to WIDTH, and zeros. */
INLINE Vector load_first(const REAL *from, Size count) {
    Vector value = {0};
    if (count >= WIDTH) return load(from);
    memcpy(&value, from, (size_t)count % WIDTH * sizeof(REAL));
    return value;
}

/* The numbers from k to the end of a row, and zeros; fewer than WIDTH are left. */
INLINE Vector load_last(const REAL *row, Size depth, Size k) {
    if (depth < WIDTH) return load_first(row + k, depth - k);
    Mask kept;
    for (int index = 0; index < WIDTH; index++) kept[index] = -(index >= WIDTH - (depth - k));
    return (Vector)((Mask)load(row + depth - WIDTH) & kept);
}

INLINE void store_first(REAL *to, Vector value, Size count) {
    if (count >= WIDTH)
        store(to, value);
    else
        memcpy(to, &value, (size_t)count % WIDTH * sizeof(REAL));
}

/* The sum of a vector's numbers, by halves. */
INLINE REAL sum_of(Vector value) {
    REAL part[WIDTH];
    memcpy(part, &value, sizeof part);
    for (int half = WIDTH / 2; half > 0; half /= 2)
        for (int index = 0; index < half; index++) part[index] += part[index + half];
    return part[0];
}

INLINE Size smaller(Size one, Size other) { return one < other ? one : other; }

INLINE Size larger(Size one, Size other) { return one > other ? one : other; }

/* How many rows each of the fewest tiles of at most `most` has, the first ones having the larger number. */
INLINE Size share_of(Size left, Size most) {
    Size tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
}

/* A tile c[rows, columns] (+)= a b, columns being at most vectors * WIDTH. */
INLINE void product_tile(const int rows, const int vectors, Size columns, Size depth, const REAL *a, Size row_a,
                         Size column_a, const REAL *b, Size ldb, REAL *c, Size ldc, int add) {
    Vector sums[ROWS][MOST_VECTORS] = {{{0}}};
    const Size whole = columns == vectors * WIDTH ? depth : depth - smaller(depth, (vectors * WIDTH - columns) / ldb + 1);
    for (Size k = 0; k < depth; k++) {
        Vector right[MOST_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) {
            /* a row of b that is not the last may be read past its end */
            right[v] = k < whole ? load(b + k * ldb + v * WIDTH)
                                 : load_first(b + k * ldb + v * WIDTH, smaller(WIDTH, columns - v * WIDTH));
        }
        UNROLL for (int row = 0; row < rows; row++) {
            const REAL left = a[row * row_a + k * column_a];
            UNROLL for (int v = 0; v < vectors; v++) sums[row][v] += left * right[v];
        }
    }
    UNROLL for (int row = 0; row < rows; row++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            const Size count = smaller(WIDTH, columns - v * WIDTH);
            REAL *to = c + row * ldc + v * WIDTH;
            if (add) sums[row][v] += load_first(to, count);
            store_first(to, sums[row][v], count);
        }
    }
}

/* c[rows, columns] (+)= a b for a with element (m, k) at m * row_a + k * column_a and b[depth, columns]. */
ALONE void product(Size rows, Size columns, Size depth, const REAL *a, Size row_a, Size column_a, const REAL *b,
                    Size ldb, REAL *c, Size ldc, int add) {
    Size column = 0;
    while (column < columns) {
        const Size left = columns - column;
        const int wide = rows <= 2 && left >= MOST_VECTORS * WIDTH, vectors = wide ? MOST_VECTORS : left > WIDTH ? 2 : 1;
        const Size count = smaller(vectors * WIDTH, left);
        for (Size row = 0; row < rows;) {
            const Size height = share_of(rows - row, ROWS);
            const REAL *from = a + row * row_a, *right = b + column;
            REAL *to = c + row * ldc + column;
#define TILE(high, vectors) \
    case 8 * vectors + high: \
        product_tile(high, vectors, count, depth, from, row_a, column_a, right, ldb, to, ldc, add); break;
            switch (8 * vectors + height) {
                TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1)
                TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
                TILE(1, 6) TILE(2, 6)
            }
#undef TILE
            row += height;
        }
        column += count;
    }
}

INLINE void dot_tile(const int rows, const int columns, Size depth, const REAL *a, Size lda, const REAL *b, Size ldb,
                     REAL *c, Size ldc) {
    Vector sums[DOT_ROWS][DOT_COLUMNS] = {{{0}}};
    Size k = 0;
    for (; k + WIDTH <= depth; k += WIDTH) {
        Vector right[DOT_COLUMNS];
        UNROLL for (int column = 0; column < columns; column++) right[column] = load(b + column * ldb + k);
        UNROLL for (int row = 0; row < rows; row++) {
            const Vector left = load(a + row * lda + k);
            UNROLL for (int column = 0; column < columns; column++) sums[row][column] += left * right[column];
        }
    }
    if (k < depth) {
        Vector right[DOT_COLUMNS];
        UNROLL for (int column = 0; column < columns; column++) right[column] = load_last(b + column * ldb, depth, k);
        UNROLL for (int row = 0; row < rows; row++) {
            const Vector left = load_last(a + row * lda, depth, k);
            UNROLL for (int column = 0; column < columns; column++) sums[row][column] += left * right[column];
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int column = 0; column < columns; column++) c[row * ldc + column] = sum_of(sums[row][column]);
}

/* c[rows, columns] = a b' for a[rows, depth] and b[columns, depth]. */
ALONE void dot_products(Size rows, Size columns, Size depth, const REAL *a, Size lda, const REAL *b, Size ldb,
                         REAL *c, Size ldc) {
    for (Size column = 0; column < columns;) {
        const Size width = share_of(columns - column, DOT_COLUMNS);
        for (Size row = 0; row < rows;) {
            const Size height = share_of(rows - row, DOT_ROWS);
            const REAL *left = a + row * lda, *right = b + column * ldb;
            REAL *to = c + row * ldc + column;
#define TILE(high, wide) \
    case 8 * high + wide: dot_tile(high, wide, depth, left, lda, right, ldb, to, ldc); break;
            switch (8 * height + width) {
                TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(2, 1) TILE(2, 2) TILE(2, 3)
                TILE(3, 1) TILE(3, 2) TILE(3, 3) TILE(4, 1) TILE(4, 2) TILE(4, 3)
            }
#undef TILE
            row += height;
        }
        column += width;
    }
}

/* b[columns, depth] turned into to[depth, columns]. */
static void transpose(Size columns, Size depth, const REAL *b, REAL *to) {
    Size column = 0;
    for (; column + WIDTH <= columns; column += WIDTH) {
        for (Size k = 0; k < depth; k++) {
            Vector value;
            for (int i = 0; i < WIDTH; i++) value[i] = b[(column + i) * depth + k];
            store(to + k * columns + column, value);
        }
    }
    for (; column < columns; column++)
        for (Size k = 0; k < depth; k++) to[k * columns + column] = b[column * depth + k];
}

#endif
