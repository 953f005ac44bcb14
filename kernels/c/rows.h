/* Reductions that several kernels share: along a row, and over rows. */
#pragma once
#include "simd_math.h"

/* -inf for n = 0; nans are passed over. */
static inline float row_max(const float *x, int64_t n) {
    vf peak = v_set1(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) peak = v_max(v_load(x + i), peak);
    if (i < n)
        peak = v_max(v_select(v_first(n - i), v_load_part(x + i, n - i), v_set1(-INFINITY)), peak);
    return v_reduce_max(peak);
}

static inline float row_sum(const float *x, int64_t n) {
    vf total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) total = v_add(total, v_load(x + i));
    if (i < n) total = v_add(total, v_load_part(x + i, n - i));
    return v_reduce_add(total);
}

/* to = exp(from - shift), where `to` may be `from`; returns the sum. */
static inline float row_exp(const float *from, float *to, float shift, int64_t n) {
    vf m = v_set1(shift), total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf e = v_exp(v_sub(v_load(from + i), m));
        v_store(to + i, e);
        total = v_add(total, e);
    }
    if (i < n) {
        vf e = v_exp(v_sub(v_load_part(from + i, n - i), m));
        v_store_part(to + i, e, n - i);
        total = v_add(total, v_select(v_first(n - i), e, v_zero()));
    }
    return v_reduce_add(total);
}

/* total = the sum of `rows` rows of n floats, `stride` floats apart, added in their order. */
static inline void sum_rows(
    const float *from, int64_t stride, float *total, int64_t rows, int64_t n
) {
    memcpy(total, from, n * sizeof *total);
    for (int64_t row = 1; row < rows; row++) {
        const float *share = from + row * stride;
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES)
            v_store(total + i, v_add(v_load(total + i), v_load(share + i)));
        for (; i < n; i++) total[i] += share[i];
    }
}
