/* The output projection and cross entropy as one: chunks of rows, no logits of the whole batch.
 *
 *     for each chunk of rows of x:   logits = x W^T              (chunk, V)
 *                                    losses, logits -> dlogits   in place
 *                                    dx = dlogits W
 *                                    dweight += dlogits^T x
 *
 * x, dx: (rows, width); weight, dweight: (V, width); targets, losses: (rows,); negative targets are
 * left out as in cross_entropy.c, which the second line is in one go:
 *
 *     loss_r = lse_r - (1 - a) x_target - a mean_j x_j
 *     x_j   <- scale (exp(x_j) / sum_i exp(x_i) - (1 - a) [j = target] - a / V)
 *
 * with weights_r scale in place of scale where there are weights (rows,); losses are not weighted.
 * Each exponential is computed once, but where a soft cap bends the logits, x_j = cap tanh(u_j / cap):
 * then the row is capped in place before, and its gradient, which needs the capped logit for the
 * slope 1 - (x_j / cap)^2, computes the exponential again. logits: (chunk, V), lent by Python. The product adds to dweight
 * where it lies, so a chunk costs a pass over dweight, 8 V width bytes, beside its 6 chunk V width
 * operations: from some 256 rows on that is small.
 *
 * Accuracy: as cross_entropy.c; dx and dweight within 2e-6 of the largest value in each.
 */
#include "gemm.h"
#include "kernels.h"
#include "parallel.h"
#include "rows.h"

/* x = x factor - shift */
static void linear_cross_entropy_scale(float *x, float factor, float shift, int64_t n) {
    vf f = v_set1(factor), b = v_set1(-shift);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(x + i, v_fma(v_load(x + i), f, b));
    if (i < n) v_store_part(x + i, v_fma(v_load_part(x + i, n - i), f, b), n - i);
}

/* x = cap tanh(x / cap) */
static void linear_cross_entropy_cap(float *x, float cap, int64_t n) {
    vf high = v_set1(cap), over = v_set1(1 / cap);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(x + i, v_mul(high, v_tanh(v_mul(v_load(x + i), over))));
    if (i < n)
        v_store_part(x + i, v_mul(high, v_tanh(v_mul(v_load_part(x + i, n - i), over))), n - i);
}

/* x = factor (exp(x - lse) - uniform) (1 - (x / cap)^2) */
static void linear_cross_entropy_capped_scale(
    float *x, float lse, float factor, float uniform, float cap, int64_t n
) {
    vf shift = v_set1(lse), f = v_set1(factor), u = v_set1(uniform), over = v_set1(1 / cap);
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t k = n - i < LANES ? n - i : LANES;
        vf z = v_load_part(x + i, k), share = v_mul(z, over);
        vf slope = v_fnma(share, share, v_set1(1));
        vf p = v_sub(v_exp(v_sub(z, shift)), u);
        v_store_part(x + i, v_mul(v_mul(p, f), slope), k);
    }
}

/* Losses of rows of logits, and the rows turned into their gradient. */
static void linear_cross_entropy_rows(
    float *logits, const int64_t *targets, const float *weights, float smoothing, float scale,
    float cap, float *losses, int64_t rows, int64_t n
) {
    PARALLEL_FOR(row, rows, 25 * n) {
        float *x = logits + row * n;
        int64_t target = targets[row];
        if (target < 0) {
            losses[row] = 0;
            memset(x, 0, n * sizeof *x);
            continue;
        }
        if (cap) linear_cross_entropy_cap(x, cap, n);
        float wanted = (1 - smoothing) * x[target];
        if (smoothing > 0) wanted += smoothing * (row_sum(x, n) / n);
        float peak = row_max(x, n), total = row_exp(x, cap ? NULL : x, peak, n);
        float factor = weights ? weights[row] * scale : scale;
        losses[row] = logf(total) + peak - wanted;
        if (cap) {
            float share = x[target] / cap, slope = 1 - share * share;
            linear_cross_entropy_capped_scale(x, logf(total) + peak, factor, smoothing / n, cap, n);
            x[target] -= (1 - smoothing) * factor * slope;
            continue;
        }
        linear_cross_entropy_scale(x, factor / total, factor * smoothing / n, n);
        x[target] -= (1 - smoothing) * factor;
    }
}

/* weights: (rows,) or NULL; cap 0: none; logits: room for (chunk, size); scratch: gemm_scratch(threads); dx NULL:
 * the losses alone; dweight NULL: it is frozen. */
void linear_cross_entropy(
    const float *x, const float *weight, const int64_t *targets, const float *weights,
    float smoothing, float scale, float cap, float *losses, float *dx, float *dweight,
    float *logits, float *scratch, int64_t rows, int64_t width, int64_t size, int64_t chunk
) {
    for (int64_t first = 0; first < rows; first += chunk) {
        int64_t n = rows - first < chunk ? rows - first : chunk;
        const float *from = x + first * width;
        gemm_problem project = {
            .rows = n, .columns = size, .inner = width, .a = from, .a_row = width, .a_inner = 1,
            .b = weight, .b_inner = 1, .b_column = width, .c = logits, .c_row = size,
        };
        gemm(&project, scratch);
        linear_cross_entropy_rows(logits, targets + first, weights ? weights + first : NULL, smoothing,
                                  scale, cap, losses + first, n, size);
        if (!dx) continue;
        gemm_problem to_x = {
            .rows = n, .columns = width, .inner = size, .a = logits, .a_row = size, .a_inner = 1,
            .b = weight, .b_inner = width, .b_column = 1, .c = dx + first * width, .c_row = width,
        };
        gemm(&to_x, scratch);
        if (!dweight) continue;
        gemm_problem to_weight = {
            .rows = size, .columns = width, .inner = n, .a = logits, .a_row = 1, .a_inner = size,
            .b = from, .b_inner = width, .b_column = 1, .c = dweight, .c_row = width,
            .residual = first ? dweight : 0,
        };
        gemm(&to_weight, scratch);
    }
}
