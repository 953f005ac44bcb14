/* GELU of a vector and its derivative, for gelu.c and, by activation.h, for linear.c and decode.c.
 *
 *     y = x/2 (1 + tanh u) = x p,   u = c (x + a x^3),   p = sigmoid(2u) = 1 / (1 + 2^t)
 *
 * with t = -2u / ln 2: one power of two and one division serve, and no digits are lost where tanh u
 * is near -1.
 */
#pragma once
#include <float.h>

#include "simd_math.h"

#define GELU_SLOPE -2.302208198f  /* -2 c / ln 2, c = sqrt(2/pi) */
#define GELU_CUBIC -0.1029432396f /* -2 c a / ln 2, a = 0.044715 */
#define GELU_2C 1.5957691216f     /* 2 c */
#define GELU_6CA 0.2140644489f    /* 6 c a */

/* 2^t for t <= 128, 1.1e-7 relative; 2^128 is inf, from -127 down it is 0. simd_math.h has the way;
 * 2^r = 1 + r q(r), q minimax of degree 4. */
static inline vf v_gelu_power(vf t) {
    const vf rounder = v_set1(V_ROUNDER);
    t = v_max(v_set1(-127.0f), t);
    vf sum = v_add(t, rounder), r = v_sub(t, v_sub(sum, rounder));
    vf q = v_fma(v_set1(0.001326472731f), r, v_set1(0.009671512991f));
    q = v_fma(q, r, v_set1(0.05550733581f));
    q = v_fma(q, r, v_set1(0.2402224243f));
    q = v_fma(q, r, v_set1(0.6931470037f));
    q = v_fma(q, r, v_set1(1.0f));
    return v_times_power(q, sum);
}

/* p, and e = 2^t. From |x| = 100 on p is 0 or 1: x^2 is cut there, so that nothing overflows. */
static inline vf v_gelu_weight(vf x, vf *square, vf *e) {
    vf one = v_set1(1);
    *square = v_min(v_set1(1e4f), v_mul(x, x));
    vf slope = v_fma(*square, v_set1(GELU_CUBIC), v_set1(GELU_SLOPE));
    *e = v_gelu_power(v_min(v_set1(128.0f), v_mul(x, slope)));
    return v_div(one, v_add(one, *e));
}

static inline vf v_gelu(vf x) {
    vf square, e;
    return v_mul(x, v_gelu_weight(x, &square, &e));
}

/* dy/dx = p + x p' = p + y (1 - p) 2u',  1 - p = e p (and 0 if e is infinite) */
static inline vf v_gelu_slope(vf x) {
    vf square, e, p = v_gelu_weight(x, &square, &e);
    vf du = v_fma(square, v_set1(GELU_6CA), v_set1(GELU_2C));
    return v_fma(v_mul(v_mul(x, p), v_mul(v_min(v_set1(FLT_MAX), e), p)), du, p);
}
