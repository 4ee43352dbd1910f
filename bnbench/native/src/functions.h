/* Functions of a number that a compiler can turn into vectors. In float they are right to about its last two bits;
in double, in which code is proved, they are those of the library, one number after another. */

#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include <math.h>

#include "simd.h"

/* e^x for x to 88, by the powers of two and a polynomial (Cephes, expf.c); what is below -87 counts as that. */
INLINE float exp_of_float(float x) {
    const float magic = 12582912; /* 1.5 * 2^23: whoever adds it rounds to a whole number, in the lowest bits */
    x = x > 88 ? 88 : x;
    x = x < -87 ? -87 : x;
    const float moved = x * 1.44269504f + magic, whole = moved - magic;
    const float r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    const float high = (1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f;
    const float power = (((high * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) * r + 5.0000001201e-1f) * r * r + r + 1;
    int32_t bits;
    float scale;
    memcpy(&bits, &moved, sizeof bits);
    bits = (int32_t)(((uint32_t)bits << 23) + 0x3f800000u);
    memcpy(&scale, &bits, sizeof scale);
    return power * scale;
}

/* The error function as a ratio of polynomials, that beyond 4 is 1 (Eigen, generic_fast_erf_float). */
INLINE float erf_of_float(float x) {
    x = x > 4 ? 4 : x;
    x = x < -4 ? -4 : x;
    const float s = x * x;
    float above = -2.72614225801306e-10f * s + 2.77068142495902e-08f;
    above = ((above * s - 2.10102402082508e-06f) * s - 5.69250639462346e-05f) * s - 7.34990630326855e-04f;
    above = (above * s - 2.95459980854025e-03f) * s - 1.60960333262415e-02f;
    float below = -1.45660718464996e-05f * s - 2.13374055278905e-04f;
    below = ((below * s - 1.68282697438203e-03f) * s - 7.37332916720468e-03f) * s - 1.42647390514189e-02f;
    return x * above / below;
}

INLINE REAL exp_of(REAL x) { return sizeof x == sizeof(float) ? exp_of_float((float)x) : (REAL)exp((double)x); }

INLINE REAL erf_of(REAL x) { return sizeof x == sizeof(float) ? erf_of_float((float)x) : (REAL)erf((double)x); }

#endif
