/* GELU of a vector and its derivative, for gelu.c and for the epilogue of linear.c.
 *
 *     y = x/2 (1 + tanh u) = x p,   u = c (x + a x^3),   p = sigmoid(2u) = 1 / (1 + e^-2u)
 *
 * so one exp and one division serve, and no digits are lost where tanh u is near -1.
 */
#pragma once
#include <float.h>

#include "simd_math.h"

#define GELU_2C 1.5957691216057308f   /* 2 sqrt(2/pi) */
#define GELU_2CA 0.07135481627260025f /* 2 sqrt(2/pi) 0.044715 */

/* p, and e = e^-2u. From |x| = 100 on p is 0 or 1: x^2 is cut there, so that nothing overflows. */
static inline vf v_gelu_weight(vf x, vf *square, vf *e) {
    vf one = v_set1(1);
    *square = v_min(v_set1(1e4f), v_mul(x, x));
    vf slope = v_fma(*square, v_set1(-GELU_2CA), v_set1(-GELU_2C));
    *e = v_exp(v_mul(x, slope));
    return v_div(one, v_add(one, *e));
}

static inline vf v_gelu(vf x) {
    vf square, e;
    return v_mul(x, v_gelu_weight(x, &square, &e));
}

/* y = x p;  *dact = dy/dx = p + x p' = p + y (1 - p) 2u',  1 - p = e p (and 0 if e is infinite) */
static inline vf v_gelu_with_derivative(vf x, vf *dact) {
    vf square, e, p = v_gelu_weight(x, &square, &e), y = v_mul(x, p);
    vf du = v_fma(square, v_set1(3 * GELU_2CA), v_set1(GELU_2C));
    *dact = v_fma(v_mul(y, v_mul(v_min(v_set1(FLT_MAX), e), p)), du, p);
    return y;
}
