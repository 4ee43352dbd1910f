/* Vectors of numbers, and what other files need to compile into few instructions. REAL is float or double. */

#ifndef SIMD_H
#define SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* A loop whose number of rounds is known when this is compiled. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* A large function that is compiled once, whatever its callers know of its arguments. */
#define NOINLINE static __attribute__((noinline))

/* Shared by the files of a library, and seen by nobody else. */
#define HIDDEN __attribute__((visibility("hidden")))

#define INLINE static inline __attribute__((always_inline))

typedef int64_t Size;
typedef REAL Vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef __typeof__((Vector){0} < (Vector){0}) Mask;

enum { WIDTH = VECTOR_BYTES / sizeof(REAL) }; /* numbers of a vector */

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

typedef REAL Half __attribute__((vector_size(VECTOR_BYTES / 2)));

/* The sum of a vector's numbers, by halves. */
INLINE REAL sum_of(Vector value) {
    Half half[2];
    memcpy(half, &value, sizeof value);
    half[0] += half[1];
    REAL part[WIDTH / 2];
    memcpy(part, half, sizeof part);
    UNROLL for (int count = WIDTH / 4; count > 0; count /= 2)
        UNROLL for (int index = 0; index < count; index++) part[index] += part[index + count];
    return part[0];
}

INLINE Size smaller(Size one, Size other) { return one < other ? one : other; }

INLINE Size larger(Size one, Size other) { return one > other ? one : other; }

#endif
