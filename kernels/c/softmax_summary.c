/* The k largest of each row, and the log of the sum, the entropy and a rank of its softmax; what they
 * mean: numpy_ref/softmax_summary.py.
 *
 * logits: (rows, V), ids: (rows,); top: (rows, k), lse, entropy, before: (rows,). Two passes over a row,
 * which the second finds in the cache up to some 100,000 scores; memory is read once and nothing of
 * its size is written.
 *
 * Sums: float32 within SUMMED scores, which are some dozen a lane, then double.
 */
#include "kernels.h"
#include "parallel.h"
#include "rows.h"

enum { SUMMED = 256, PASSED_OVER = 64 };

/* Put j among the `count` places of the largest so far, behind what is as large: the last falls out. */
static void keep_large(const float *x, int64_t j, int64_t *top, int64_t count) {
    int64_t at = count - 1;
    for (; at > 0 && x[top[at - 1]] < x[j]; at--) top[at] = top[at - 1];
    top[at] = j;
}

/* Of random scores a row has k ln(n / k) that are larger than the k-th before them: nearly all blocks
 * are passed over by their maximum. */
static void row_top(const float *x, int64_t n, int64_t *top, int64_t k) {
    for (int64_t j = 0; j < k; j++) keep_large(x, j, top, j + 1);
    for (int64_t from = k; from < n; from += PASSED_OVER) {
        int64_t end = from + PASSED_OVER < n ? from + PASSED_OVER : n;
        if (row_max(x + from, end - from) <= x[top[k - 1]]) continue;
        for (int64_t j = from; j < end; j++)
            if (x[j] > x[top[k - 1]]) keep_large(x, j, top, k);
    }
}

void softmax_summary(const float *logits, const int64_t *ids, int64_t *top, double *lse,
                     double *entropy, int64_t *before, int64_t rows, int64_t n, int64_t k) {
    PARALLEL_FOR(row, rows, 40 * n) {
        const float *x = logits + row * n;
        row_top(x, n, top + row * k, k);
        const float peak = x[top[row * k]];
        const vf m = v_set1(peak), own = v_set1(x[ids[row]]), one = v_set1(1), zero = v_zero();
        double mass = 0, mean = 0; /* sum e^d and sum d e^d, d = x - m */
        before[row] = 0;
        for (int64_t from = 0; from < n; from += SUMMED) {
            const int64_t end = from + SUMMED < n ? from + SUMMED : n;
            vf sum = zero, bent = zero, above = zero;
            for (int64_t i = from; i < end; i += LANES) {
                const vm there = v_first(end - i < LANES ? end - i : LANES);
                const vf v = v_load_part(x + i, end - i < LANES ? end - i : LANES), d = v_sub(v, m);
                const vf e = v_select(there, v_exp(d), zero);
                sum = v_add(sum, e);
                bent = v_fma(e, v_max(v_set1(-100), d), bent); /* 0 of -inf: its e is 0 from -87 on */
                above = v_add(above, v_select(there, v_select(v_less(own, v), one, zero), zero));
            }
            mass += v_reduce_add(sum);
            mean += v_reduce_add(bent);
            before[row] += (int64_t)v_reduce_add(above);
        }
        lse[row] = peak + log(mass);
        entropy[row] = log(mass) - mean / mass;
    }
}
