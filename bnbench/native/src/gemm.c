/* Products in tiles whose sums stay in registers. It takes a compiler as long as all other files. */

#include "gemm.h"

enum {
    MOST_VECTORS = 6, /* of a tile of few rows */
    LEFT_BYTES = 64 * 1024, /* of the rows of a at a time, which stay in a near cache for all columns of b */
    RIGHT_BYTES = 1 << 20,  /* of b, above which some of its rows are taken at a time, whose pages' addresses stay near */
    ROWS_AT_A_TIME = 128,   /* so many */
    DOT_ROWS = 4,
    DOT_COLUMNS = 3,  /* of a tile of dot products */
};

/* The rows of each of the fewest tiles of at most `most`, the first ones having the larger number. */
INLINE Size share_of(Size left, Size most) {
    Size tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
}

/* A tile c[rows, columns] (+)= a b, columns being at most vectors * WIDTH. */
INLINE void gemm_tile(const int rows, const int vectors, Size columns, Size depth, const REAL *a, Size row_a,
                         Size column_a, const REAL *b, Size ldb, REAL *c, Size ldc, int add) {
    Vector sums[ROWS][MOST_VECTORS] = {{{0}}};
    const Size whole = columns == vectors * WIDTH ? depth : depth - smaller(depth,
        (vectors * WIDTH - columns) / ldb + 1);
    Size k = 0;
    for (; k < whole; k++) {
        Vector right[MOST_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) right[v] = load(b + k * ldb + v * WIDTH);
        UNROLL for (int row = 0; row < rows; row++) {
            const REAL left = a[row * row_a + k * column_a];
            UNROLL for (int v = 0; v < vectors; v++) sums[row][v] += left * right[v];
        }
    }
    for (; k < depth; k++) { /* the last rows of b may not be read past their end */
        Vector right[MOST_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++)
            right[v] = load_first(b + k * ldb + v * WIDTH, smaller(WIDTH, columns - v * WIDTH));
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

/* The same for some rows. */
static void gemm_rows(Size rows, Size columns, Size depth, const REAL *a, Size row_a, Size column_a, const REAL *b,
                      Size ldb, REAL *c, Size ldc, int add) {
    Size column = 0;
    while (column < columns) {
        const Size left = columns - column;
        const int wide = rows <= 2 && left >= MOST_VECTORS * WIDTH,
            vectors = wide ? MOST_VECTORS : left > WIDTH ? 2 : 1;
        const Size count = smaller(vectors * WIDTH, left);
        for (Size row = 0; row < rows;) {
            const Size height = share_of(rows - row, ROWS);
            const REAL *from = a + row * row_a, *right = b + column;
            REAL *to = c + row * ldc + column;
#define TILE(high, vectors) \
    case 8 * vectors + high: \
        gemm_tile(high, vectors, count, depth, from, row_a, column_a, right, ldb, to, ldc, add); break;
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

void gemm(Size rows, Size columns, Size depth, const REAL *a, Size row_a, Size column_a, const REAL *b, Size ldb,
          REAL *c, Size ldc, int add) {
    const Size deep = depth * ldb * (Size)sizeof(REAL) > RIGHT_BYTES ? smaller(ROWS_AT_A_TIME, depth) : depth;
    const Size most = larger(1, LEFT_BYTES / (ROWS * deep * (Size)sizeof(REAL))) * ROWS;
    for (Size k = 0; k < depth; k += deep)
        for (Size row = 0; row < rows; row += most)
            gemm_rows(smaller(most, rows - row), columns, smaller(deep, depth - k), a + row * row_a + k * column_a,
                      row_a, column_a, b + k * ldb, ldb, c + row * ldc, ldc, add || k > 0);
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

void dot_products(Size rows, Size columns, Size depth, const REAL *a, Size lda, const REAL *b, Size ldb,
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

/* b[columns, depth] transposed into to[depth, columns]. */
void transpose(Size columns, Size depth, const REAL *b, Size ldb, REAL *to) {
    for (Size first = 0; first < depth; first += ROWS_AT_A_TIME) {
        const Size end = smaller(first + ROWS_AT_A_TIME, depth);
        Size column = 0;
        for (; column + WIDTH <= columns; column += WIDTH) {
            for (Size k = first; k < end; k++) {
                Vector value;
                for (int i = 0; i < WIDTH; i++) value[i] = b[(column + i) * ldb + k];
                store(to + k * columns + column, value);
            }
        }
        for (; column < columns; column++)
            for (Size k = first; k < end; k++) to[k * columns + column] = b[column * ldb + k];
    }
}
