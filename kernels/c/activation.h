/* The activations of linear, of a vector: 0 none, 1 gelu, 2 relu2 (max(0, x)^2), 3 silu. */
#pragma once
#include "gelu.h"
#include "parallel.h"

enum { ACTIVATION_BLOCK = 4096 }; /* elements in one iteration of a parallel loop */

/* silu: y = x s,  s = 1 / (1 + e),  e = e^-x. Out of line: beside gelu in the loop that packs x it
 * made a product with gelu 2 % slower. */
static inline vf v_silu_weight(vf x, vf *e) {
    vf one = v_set1(1);
    *e = v_gelu_power(v_min(v_set1(128.0f), v_mul(x, v_set1(-1.442695041f))));
    return v_div(one, v_add(one, *e));
}

static __attribute__((noinline)) vf v_silu(vf x) {
    vf e;
    return v_mul(x, v_silu_weight(x, &e));
}

/* dy/dx = s + x s (1 - s),  1 - s = e s (and 0 if e is infinite) */
static __attribute__((noinline)) vf v_silu_slope(vf x) {
    vf e, s = v_silu_weight(x, &e);
    return v_fma(v_mul(x, s), v_mul(v_min(v_set1(FLT_MAX), e), s), s);
}

INLINE vf v_activate(int kind, vf x) {
    if (kind == 1) return v_gelu(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_mul(positive, positive);
    }
    if (kind == 3) return v_silu(x);
    return x;
}

/* act'(x) */
INLINE vf v_activation_slope(int kind, vf x) {
    if (kind == 1) return v_gelu_slope(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_add(positive, positive);
    }
    if (kind == 3) return v_silu_slope(x);
    return v_set1(1);
}

/* dx = dy act'(x), n floats in one pass; dx may be dy. */
static void activation_backward(int kind, const float *dy, const float *x, float *dx, int64_t n) {
    PARALLEL_FOR(block, (n + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK, 30 * ACTIVATION_BLOCK) {
        int64_t i = block * ACTIVATION_BLOCK;
        const int64_t end = i + ACTIVATION_BLOCK < n ? i + ACTIVATION_BLOCK : n;
        for (; i + LANES <= end; i += LANES)
            v_store(dx + i, v_mul(v_load(dy + i), v_activation_slope(kind, v_load(x + i))));
        if (i < end) {
            vf slope = v_activation_slope(kind, v_load_part(x + i, end - i));
            v_store_part(dx + i, v_mul(v_load_part(dy + i, end - i), slope), end - i);
        }
    }
}
