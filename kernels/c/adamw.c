/* AdamW for one array, and the sum of squares that gradient clipping needs.
 *
 *     g = grad_scale grad;   m += (1 - beta1) (g - m);   v += (1 - beta2) (g^2 - v)
 *     param = decay param - rate m / (sqrt(v) root_correction + eps)
 *
 * with decay = 1 - lr weight_decay, rate = lr / (1 - beta1^step) and
 * root_correction = 1 / sqrt(1 - beta2^step): the bias corrections, pulled out of the loop.
 * One pass: each of param, m and v is read once and written once, grad is read once.
 */
#include "adamw.h"
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

#define ADAMW_BLOCK 4096 /* elements in one iteration of the parallel loop */

void adamw_update(
    float *param, const float *grad, float *m, float *v, int64_t n, const adamw_factors *factors
) {
    PARALLEL_FOR(block, (n + ADAMW_BLOCK - 1) / ADAMW_BLOCK, 30 * ADAMW_BLOCK) {
        const AdamwVectors f = adamw_vectors(factors);
        int64_t i = block * ADAMW_BLOCK, end = i + ADAMW_BLOCK < n ? i + ADAMW_BLOCK : n;
        for (; i + LANES <= end; i += LANES) {
            vf a = v_load(m + i), b = v_load(v + i);
            v_store(param + i, adamw_lanes(v_load(param + i), v_load(grad + i), &a, &b, &f));
            v_store(m + i, a);
            v_store(v + i, b);
        }
        if (i < end) {
            int64_t k = end - i;
            vf a = v_load_part(m + i, k), b = v_load_part(v + i, k);
            vf p = adamw_lanes(v_load_part(param + i, k), v_load_part(grad + i, k), &a, &b, &f);
            v_store_part(param + i, p, k);
            v_store_part(m + i, a, k);
            v_store_part(v + i, b, k);
        }
    }
}

/* Sixteen sums side by side, for the compiler to keep in vectors of doubles. */
#define SQUARES_WIDTH 16
#define SQUARES_PARTS 64 /* fixed ranges, so that the sum does not depend on the threads */

static double sum_of_squares_part(const float *x, int64_t n) {
    double sums[SQUARES_WIDTH] = {0}, total = 0;
    int64_t i = 0;
    for (; i + SQUARES_WIDTH <= n; i += SQUARES_WIDTH)
        for (int j = 0; j < SQUARES_WIDTH; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) total += (double)x[i] * (double)x[i];
    for (int j = 0; j < SQUARES_WIDTH; j++) total += sums[j];
    return total;
}

double sum_of_squares(const float *x, int64_t n) {
    double parts[SQUARES_PARTS], total = 0;
    int64_t size = (n + SQUARES_PARTS - 1) / SQUARES_PARTS;
    PARALLEL_FOR(part, SQUARES_PARTS, size) {
        int64_t from = part * size < n ? part * size : n;
        parts[part] = sum_of_squares_part(x + from, from + size < n ? size : n - from);
    }
    for (int part = 0; part < SQUARES_PARTS; part++) total += parts[part];
    return total;
}
