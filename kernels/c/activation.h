/* The activations of linear, of a vector: 0 none, 1 gelu, 2 relu2 (max(0, x)^2), 3 silu, 4 relu,
 * 5 gelu_erf (x Phi(x) itself, gelu being its tanh form).
 *
 * With a gate, a row of x is two halves, g and u, and what is multiplied is act(g) u. A row of x is
 * then twice as long as a row of the product's operand; u lies that much behind g.
 */
#pragma once
#include "gelu.h"
#include "parallel.h"

enum { ACTIVATION_BLOCK = 4096 }; /* elements in one iteration of a parallel loop */

/* silu: y = x s,  s = 1 / (1 + e),  e = e^-x. */
static inline vf v_silu_weight(vf x, vf *e) {
    vf one = v_set1(1);
    *e = v_gelu_power(v_min(v_set1(128.0f), v_mul(x, v_set1(-1.442695041f))));
    return v_div(one, v_add(one, *e));
}

INLINE vf v_silu(vf x) {
    vf e;
    return v_mul(x, v_silu_weight(x, &e));
}

/* dy/dx = s + x s (1 - s),  1 - s = e s (and 0 if e is infinite) */
INLINE vf v_silu_slope(vf x) {
    vf e, s = v_silu_weight(x, &e);
    return v_fma(v_mul(x, s), v_mul(v_min(v_set1(FLT_MAX), e), s), s);
}

/* gelu_erf: y = x Phi(x) = max(x, 0) - |x| Q, where Q = 1 - Phi(|x|) = e^(-x^2 / 2) R(|x|); R, Mills'
 * ratio over sqrt(2 pi), falls slowly from 1/2, and is a polynomial of 1 / (1 + 0.35 |x|): minimax of
 * degree 7, Q and y within 2.5e-8 before rounding, y for x < 0 within 1e-5 relative as well. From
 * |x| = 100 on Q is 0: x is cut there, so that nothing overflows. */
static inline vf v_gelu_erf_tail(vf x, vf *power) {
    vf size = v_min(v_set1(100.0f), v_abs(x));
    vf s = v_div(v_set1(1), v_fma(size, v_set1(0.35f), v_set1(1)));
    vf r = v_set1(0.04195149924f);
    r = v_fma(r, s, v_set1(-0.17235432077f));
    r = v_fma(r, s, v_set1(0.18843338988f));
    r = v_fma(r, s, v_set1(0.03156466874f));
    r = v_fma(r, s, v_set1(0.13024753116f));
    r = v_fma(r, s, v_set1(0.14102537830f));
    r = v_fma(r, s, v_set1(0.13908661709f));
    r = v_fma(r, s, v_set1(4.5257228474e-05f));
    *power = v_exp(v_mul(v_mul(size, size), v_set1(-0.5f)));
    return v_mul(*power, r);
}

INLINE vf v_gelu_erf(vf x) {
    vf power, q = v_gelu_erf_tail(x, &power);
    return v_fnma(v_min(v_set1(100.0f), v_abs(x)), q, v_max(x, v_zero()));
}

/* dy/dx = Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi) */
INLINE vf v_gelu_erf_slope(vf x) {
    vf power, q = v_gelu_erf_tail(x, &power);
    vf cut = v_max(v_set1(-100.0f), v_min(v_set1(100.0f), x));
    vf phi = v_select(v_less(x, v_zero()), q, v_sub(v_set1(1), q));
    return v_fma(v_mul(cut, power), v_set1(0.3989422804f), phi);
}

INLINE vf v_activate(int kind, vf x) {
    if (kind == 1) return v_gelu(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_mul(positive, positive);
    }
    if (kind == 3) return v_silu(x);
    if (kind == 4) return v_max(x, v_zero());
    if (kind == 5) return v_gelu_erf(x);
    return x;
}

/* act of the first n numbers at x, times those `gate` further on if that is not 0. */
INLINE vf v_activate_at(int kind, int64_t gate, const float *x, int64_t n) {
    vf a = v_activate(kind, n >= LANES ? v_load(x) : v_load_part(x, n));
    if (!gate) return a;
    return v_mul(a, n >= LANES ? v_load(x + gate) : v_load_part(x + gate, n));
}

/* act'(x) */
INLINE vf v_activation_slope(int kind, vf x) {
    if (kind == 1) return v_gelu_slope(x);
    if (kind == 2) {
        vf positive = v_max(x, v_zero());
        return v_add(positive, positive);
    }
    if (kind == 3) return v_silu_slope(x);
    if (kind == 4) return v_select(v_less(v_zero(), x), v_set1(1), v_zero());
    if (kind == 5) return v_gelu_erf_slope(x);
    return v_set1(1);
}

/* call(kind, gate) as code of its own for what training spends its time on: no vector asks which
 * activation it has, and that one's constants stay in registers. The others share code that asks. */
#define WITH_ACTIVATION(kind, gate, call)      \
    do {                                       \
        if ((gate) && (kind) == 3) call(3, gate); \
        else if (gate) call(kind, gate);       \
        else if ((kind) == 0) call(0, 0);      \
        else if ((kind) == 1) call(1, 0);      \
        else if ((kind) == 5) call(5, 0);      \
        else call(kind, 0);                    \
    } while (0)

/* dx = dy act'(x), n floats; dx may be dy. */
INLINE void activation_slopes(int kind, const float *dy, const float *x, float *dx, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(dx + i, v_mul(v_load(dy + i), v_activation_slope(kind, v_load(x + i))));
    if (i < n) {
        vf slope = v_activation_slope(kind, v_load_part(x + i, n - i));
        v_store_part(dx + i, v_mul(v_load_part(dy + i, n - i), slope), n - i);
    }
}

/* The same in one parallel pass. */
static void activation_backward(int kind, const float *dy, const float *x, float *dx, int64_t n) {
    PARALLEL_FOR(block, (n + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK, 30 * ACTIVATION_BLOCK) {
        const int64_t i = block * ACTIVATION_BLOCK;
        const int64_t count = n - i < ACTIVATION_BLOCK ? n - i : ACTIVATION_BLOCK;
#define SLOPES(kind, gate) activation_slopes(kind, dy + i, x + i, dx + i, count)
        WITH_ACTIVATION(kind, 0, SLOPES);
#undef SLOPES
    }
}

/* a = act(g) u   =>   dg = da u act'(g),  du = da act(g), of one row x = (g, u), n floats each. dx is
 * laid out as x; da stands where dg will. */
INLINE void activation_gate_slopes(int kind, const float *g, float *dg, int64_t n) {
    const float *u = g + n;
    float *du = dg + n;
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t left = n - i < LANES ? n - i : LANES;
        vf gate = v_load_part(g + i, left), da = v_load_part(dg + i, left);
        vf slope = v_mul(v_load_part(u + i, left), v_activation_slope(kind, gate));
        v_store_part(dg + i, v_mul(da, slope), left);
        v_store_part(du + i, v_mul(da, v_activate(kind, gate)), left);
    }
}

/* Of all rows. */
static void activation_gate_backward(int kind, const float *x, float *dx, int64_t rows, int64_t n) {
    PARALLEL_FOR(row, rows, 40 * n) {
#define SLOPES(kind, gate) activation_gate_slopes(kind, x + row * 2 * n, dx + row * 2 * n, n)
        WITH_ACTIVATION(kind, n, SLOPES);
#undef SLOPES
    }
}
