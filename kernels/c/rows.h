/* What several kernels do to rows: maximum, sum, exponentials, softmax; and the sum of rows. */
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

/* y = exp(x - shift), shift at least the row's maximum; returns the sum. y may be x, or NULL, the
 * constant, if only the sum is wanted. Two vectors go side by side, because each one's dozen steps
 * wait for each other; and while this row keeps the arithmetic busy, the next one is asked for. */
INLINE float row_exp(const float *x, float *y, float shift, int64_t n) {
    vf m = v_set1(shift), total = v_zero();
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        for (int line = 0; line < 2 * LANES; line += 16) prefetch(x + n + i + line);
        vf e = v_exp(v_sub(v_load(x + i), m));
        vf f = v_exp(v_sub(v_load(x + i + LANES), m));
        if (y) v_store(y + i, e);
        if (y) v_store(y + i + LANES, f);
        total = v_add(total, v_add(e, f));
    }
    for (; i < n; i += LANES) {
        int64_t k = n - i < LANES ? n - i : LANES;
        vf e = v_exp(v_sub(v_load_part(x + i, k), m));
        if (y) v_store_part(y + i, e, k);
        total = v_add(total, v_select(v_first(k), e, v_zero()));
    }
    return v_reduce_add(total);
}

static void softmax_row_scale(float *y, int64_t n, float factor) {
    vf f = v_set1(factor);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_mul(v_load(y + i), f));
    if (i < n) v_store_part(y + i, v_mul(v_load_part(y + i, n - i), f), n - i);
}

/* y = softmax(x); y may be x. */
static void softmax_row(const float *x, float *y, int64_t n) {
    float peak = row_max(x, n);
    /* Every key masked: exp(-inf - 0) = 0 throughout, where -inf - -inf would be nan. */
    float total = row_exp(x, y, peak == -INFINITY ? 0 : peak, n);
    softmax_row_scale(y, n, total == 0 ? 1 : 1 / total);
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
