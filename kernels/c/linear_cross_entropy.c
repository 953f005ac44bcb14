/* What stands between the two products of linear_cross_entropy: logits become their gradient.
 *
 *     loss_r = lse_r - (1 - a) x_target - a mean_j x_j
 *     x_j   <- scale (exp(x_j) / sum_i exp(x_i) - (1 - a) [j = target] - a / V)
 *
 * logits: (rows, V), overwritten; targets, losses: (rows,). Negative targets as in cross_entropy.c,
 * which this is in one go: the exponentials that the loss needs are kept for the gradient.
 */
#include "kernels.h"
#include "parallel.h"
#include "rows.h"
#include "simd_math.h"

/* x = exp(x - shift); returns the sum. */
static float linear_cross_entropy_exp(float *x, float shift, int64_t n) {
    vf m = v_set1(shift), total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf e = v_exp(v_sub(v_load(x + i), m));
        v_store(x + i, e);
        total = v_add(total, e);
    }
    if (i < n) {
        vf e = v_exp(v_sub(v_load_part(x + i, n - i), m));
        v_store_part(x + i, e, n - i);
        total = v_add(total, v_select(v_first(n - i), e, v_zero()));
    }
    return v_reduce_add(total);
}

/* x = x factor - shift */
static void linear_cross_entropy_scale(float *x, float factor, float shift, int64_t n) {
    vf f = v_set1(factor), b = v_set1(-shift);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(x + i, v_fma(v_load(x + i), f, b));
    if (i < n) v_store_part(x + i, v_fma(v_load_part(x + i, n - i), f, b), n - i);
}

void linear_cross_entropy_rows(
    float *logits, const int64_t *targets, float smoothing, float scale, float *losses,
    int64_t rows, int64_t n
) {
    PARALLEL_FOR(row, rows, 25 * n) {
        float *x = logits + row * n;
        int64_t target = targets[row];
        if (target < 0) {
            losses[row] = 0;
            memset(x, 0, n * sizeof *x);
            continue;
        }
        float wanted = (1 - smoothing) * x[target];
        if (smoothing > 0) wanted += smoothing * (row_sum(x, n) / n);
        float peak = row_max(x, n), total = linear_cross_entropy_exp(x, peak, n);
        losses[row] = logf(total) + peak - wanted;
        linear_cross_entropy_scale(x, scale / total, scale * smoothing / n, n);
        x[target] -= (1 - smoothing) * scale;
    }
}
