/* One row normed: what layernorm.c and rmsnorm.c do to each of many, and decode.c to the only one it
 * has. A parallel loop over one row costs a microsecond, more than the row.
 *
 * n floats each; residual and bias may be NULL, and without a residual s is x and is not written.
 * y may be x or s.
 */
#pragma once
#include "rows.h"

/* s = x + residual; returns the sum of the row s. */
static float layernorm_sum(const float *x, const float *residual, float *s, int64_t n) {
    if (!residual) return row_sum(x, n);
    vf total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf v = v_add(v_load(x + i), v_load(residual + i));
        v_store(s + i, v);
        total = v_add(total, v);
    }
    if (i < n) {
        vf v = v_add(v_load_part(x + i, n - i), v_load_part(residual + i, n - i));
        v_store_part(s + i, v, n - i);
        total = v_add(total, v);
    }
    return v_reduce_add(total);
}

static float layernorm_squares(const float *s, float mean, int64_t n) {
    vf total = v_zero(), m = v_set1(mean);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf d = v_sub(v_load(s + i), m);
        total = v_fma(d, d, total);
    }
    if (i < n) {
        vf d = v_select(v_first(n - i), v_sub(v_load_part(s + i, n - i), m), v_zero());
        total = v_fma(d, d, total);
    }
    return v_reduce_add(total);
}

static void layernorm_apply(
    const float *s, const float *weight, const float *bias, float mean, float rstd, float *y,
    int64_t n
) {
    vf m = v_set1(mean), r = v_set1(rstd);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf normal = v_mul(v_sub(v_load(s + i), m), r);
        v_store(y + i, v_fma(normal, v_load(weight + i), bias ? v_load(bias + i) : v_zero()));
    }
    if (i < n) {
        int64_t k = n - i;
        vf normal = v_mul(v_sub(v_load_part(s + i, k), m), r);
        vf shift = bias ? v_load_part(bias + i, k) : v_zero();
        v_store_part(y + i, v_fma(normal, v_load_part(weight + i, k), shift), k);
    }
}

static void layernorm_row(
    const float *x, const float *residual, const float *weight, const float *bias, float eps,
    float *s, float *y, float *mean, float *rstd, int64_t n
) {
    *mean = layernorm_sum(x, residual, s, n) / n;
    *rstd = 1 / sqrtf(layernorm_squares(s, *mean, n) / n + eps);
    layernorm_apply(s, weight, bias, *mean, *rstd, y, n);
}

/* s = x + residual; returns the sum of squares of the row s. */
static float rmsnorm_squares(const float *x, const float *residual, float *s, int64_t n) {
    vf total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf v = v_load(x + i);
        if (residual) v_store(s + i, v = v_add(v, v_load(residual + i)));
        total = v_fma(v, v, total);
    }
    if (i < n) {
        vf v = v_load_part(x + i, n - i);
        if (residual) v_store_part(s + i, v = v_add(v, v_load_part(residual + i, n - i)), n - i);
        total = v_fma(v, v, total);
    }
    return v_reduce_add(total);
}

static void rmsnorm_row(
    const float *x, const float *residual, const float *weight, float eps, float *s, float *y,
    float *rstd, int64_t n
) {
    float squares = rmsnorm_squares(x, residual, s, n);
    *rstd = 1 / sqrtf(squares / n + eps);
    vf r = v_set1(*rstd);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_mul(v_mul(v_load(s + i), r), v_load(weight + i)));
    if (i < n) {
        vf normal = v_mul(v_load_part(s + i, n - i), r);
        v_store_part(y + i, v_mul(normal, v_load_part(weight + i, n - i)), n - i);
    }
}
