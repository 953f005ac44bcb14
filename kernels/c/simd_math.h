/* Powers of a vector, written once in simd.h's vocabulary: what all of them share, e^x and tanh. (2^x
 * stands where its range is known: attention_tile.h, gelu.h.) The error stated here, against float64,
 * is the largest over a fine sweep of the whole range, on every instruction set:
 * tests/kernels/test_c_math.py. */
#pragma once
#include "simd.h"

/* 2^t = 2^n 2^r with integer n and |r| <= 1/2. Adding V_ROUNDER leaves no bits for a fraction: the
 * addition rounds t to n, which then stands in the low bits of the sum; taking V_ROUNDER away again
 * gives n as a float, for r = t - n. */
#define V_ROUNDER 12582912.0f /* 1.5 2^23 */

/* x 2^n for such a sum: n is moved to where a float has its exponent, and added there. Right while x
 * and the result are normal numbers; and 2^128 of x = 1 is inf, 2^-127 is 0. */
static inline vf v_times_power(vf x, vf sum) {
    return v_as_float(vi_add(v_as_int(x), vi_shift_left(v_as_int(sum), 23)));
}

/* e^x for x <= 0, what a softmax needs, whose exponents count from the row's maximum: 4e-7 relative
 * for x >= -86.6 and exactly 0 below (and for -inf); nan stays nan. Where a multiply-add rounds twice,
 * 6e-8 |x| more, as much as the subtraction of the maximum may have cost.
 *
 * x = n ln 2 + r with integer n and |r| <= ln(2)/2, so e^x = 2^n e^r; there is no overflow and no
 * denormal result. e^r: minimax of degree 5, 9e-8 relative, exactly 1 at 0. */
static inline vf v_exp(vf x) {
    vf rounder = v_set1(V_ROUNDER), sum = v_fma(x, v_set1(1.44269504f), rounder);
    vf r = v_fnma(v_sub(sum, rounder), v_set1(0.69314718f), x);
    vf p = v_set1(0.008290272206068039f);
    p = v_fma(p, r, v_set1(0.04189816117286682f));
    p = v_fma(p, r, v_set1(0.1666763871908188f));
    p = v_fma(p, r, v_set1(0.4999914765357971f));
    p = v_fma(p, r, v_set1(0.9999997019767761f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_select(v_less(x, v_set1(-86.6f)), v_zero(), v_times_power(p, sum));
}

/* tanh x, 4e-7 relative; nan stays nan. Up to 0.6 an odd polynomial, minimax of degree 11 in x, 7e-9
 * relative; beyond, where nothing cancels any more, 1 - 2 / (1 + e^2|x|) by way of e^-2|x|. */
static inline vf v_tanh(vf x) {
    vf one = v_set1(1), size = v_abs(x), square = v_mul(x, x);
    vf p = v_set1(-0.005515121953f);
    p = v_fma(p, square, v_set1(0.02046938107f));
    p = v_fma(p, square, v_set1(-0.05368801057f));
    p = v_fma(p, square, v_set1(0.1333083020f));
    p = v_fma(p, square, v_set1(-0.3333325984f));
    vf near = v_fma(v_mul(p, square), x, x), e = v_exp(v_mul(v_set1(-2), size));
    vf far = v_div(v_sub(one, e), v_add(one, e));
    far = v_select(v_less(x, v_zero()), v_sub(v_zero(), far), far);
    return v_select(v_less(size, v_set1(0.6f)), near, far);
}
