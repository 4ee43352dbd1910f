/* Products of small matrices on one core.

Matrices are rows in memory, one after another; ldb and ldc are the numbers from one row to the next. Sums are taken in
an order that depends on the shapes only. */

#ifndef GEMM_H
#define GEMM_H

#include "simd.h"

enum {
    ROWS = 6,      /* of a tile of a product: its sums fill the registers */
    FEW_ROWS = 16, /* up to so many, products with a weight are quicker as it is than with the weight transposed */
};

/* c[rows, columns] (+)= a b for a with element (m, k) at m * row_a + k * column_a and b[depth, columns]. */
HIDDEN void gemm(Size rows, Size columns, Size depth, const REAL *a, Size row_a, Size column_a, const REAL *b, Size ldb,
                 REAL *c, Size ldc, int add);

/* c[rows, columns] = a b' for a[rows, depth] and b[columns, depth]. */
HIDDEN void dot_products(Size rows, Size columns, Size depth, const REAL *a, Size lda, const REAL *b, Size ldb, REAL *c,
                         Size ldc);

/* b[columns, depth] as to[depth, columns]. */
HIDDEN void transpose(Size columns, Size depth, const REAL *b, Size ldb, REAL *to);

#endif
