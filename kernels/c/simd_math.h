/* exp and tanh of a vector, written once in simd.h's vocabulary.
 *
 * The errors stated here, in units in the last place against float64, are the largest over every
 * float of a fine sweep of the whole range, on every instruction set: tests/kernels/test_c_math.py.
 */
#pragma once
#include "simd.h"

/* x = n ln 2 + r with integer n and |r| <= ln(2)/2, so e^x = 2^n e^r. ln 2 comes in two parts, the
 * first with so few bits that n times it is exact: r keeps all its digits. Adding 1.5 2^23 leaves no
 * bits for a fraction, so the addition rounds x / ln 2 to the nearest integer. */
static inline vf v_reduce_ln2(vf x, vf *n) {
    vf magic = v_set1(12582912.0f);
    *n = v_sub(v_fma(x, v_set1(1.44269504f), magic), magic);
    vf r = v_fnma(*n, v_set1(0.693145752f), x);
    return v_fnma(*n, v_set1(1.42860677e-6f), r);
}

/* e^r - 1 = r + r^2 q(r): q is the minimax polynomial of degree 4, 3e-9 relative. */
static inline vf v_expm1_reduced(vf r) {
    vf q = v_set1(0.001381459878757596f);
    q = v_fma(q, r, v_set1(0.008368716575205326f));
    q = v_fma(q, r, v_set1(0.04166838899254799f));
    q = v_fma(q, r, v_set1(0.1666652113199234f));
    q = v_fma(q, r, v_set1(0.4999999403953552f));
    return v_fma(v_mul(r, r), q, r);
}

/* e^x within 1.2 ulp for x >= -86.6; below, down to -104, a denormal number or 0; beyond (and for
 * -inf) exactly 0. Overflow gives inf, nan stays nan. */
static inline vf v_exp(vf x) {
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x)); /* in this order nan passes through */
    vf n, r = v_reduce_ln2(x, &n);
    return v_ldexp(v_add(v_set1(1.0f), v_expm1_reduced(r)), n);
}

/* e^x for x <= 0, what a softmax needs, whose exponents count from the row's maximum: 4e-7 relative
 * for x >= -86.6 and exactly 0 below (and for -inf); nan stays nan. Where a multiply-add rounds twice,
 * 6e-8 |x| more, as much as the subtraction of the maximum may have cost.
 * It has two thirds of v_exp's steps: with neither overflow nor denormal results, adding n to the
 * exponent's bits multiplies by 2^n (n lies in the low bits of the sum that rounded it); n is small, so
 * ln 2 in one part will do; the minimax polynomial of e^r has degree 5: 9e-8 relative, 1 at 0. */
static inline vf v_exp_falling(vf x) {
    vf magic = v_set1(12582912.0f), rounded = v_fma(x, v_set1(1.44269504f), magic);
    vf r = v_fnma(v_sub(rounded, magic), v_set1(0.69314718f), x);
    vf p = v_set1(0.008290272206068039f);
    p = v_fma(p, r, v_set1(0.04189816117286682f));
    p = v_fma(p, r, v_set1(0.1666763871908188f));
    p = v_fma(p, r, v_set1(0.4999914765357971f));
    p = v_fma(p, r, v_set1(0.9999997019767761f));
    p = v_fma(p, r, v_set1(1.0f));
    p = v_as_float(vi_add(v_as_int(p), vi_shift_left(v_as_int(rounded), 23)));
    return v_select(v_less(x, v_set1(-86.6f)), v_zero(), p);
}

/* tanh x = (e^2x - 1) / (e^2x + 1) = m / (m + 2), m = e^2x - 1, within 3 ulp.
 * m = 2^n (e^r - 1) + (2^n - 1) never subtracts nearly equal numbers, so tanh keeps its relative
 * accuracy down to the smallest x. Beyond |x| = 9.02 the nearest float is 1. */
static inline vf v_tanh(vf x) {
    x = v_min(v_set1(9.02f), v_max(v_set1(-9.02f), x));
    vf n, r = v_reduce_ln2(v_add(x, x), &n);
    vf power = v_ldexp(v_set1(1.0f), n);
    vf m = v_fma(power, v_expm1_reduced(r), v_sub(power, v_set1(1.0f)));
    return v_div(m, v_add(m, v_set1(2.0f)));
}
