/* AdamW for a list of arrays, and the sum of squares that gradient clipping needs.
 *
 *     g = grad_scale grad;   m += (1 - beta1) (g - m);   v += (1 - beta2) (g^2 - v)
 *     param = decay param - rate m / (sqrt(v) root_correction + eps)
 *
 * with decay = 1 - lr weight_decay, rate = lr / (1 - beta1^step) and
 * root_correction = 1 / sqrt(1 - beta2^step): the bias corrections, pulled out of the loop.
 * One pass: each of param, m and v is read once and written once, grad is read once.
 *
 * The threads share the whole list: the arrays count as one, end to end, cut into ADAMW_PARTS equal
 * ranges whatever the number of threads, so that a sum does not depend on it. Forty arrays cost one
 * waking of the team, and a small one falls to a single thread.
 */
#include "adamw.h"
#include "kernels.h"
#include "overlap.h"
#include "parallel.h"
#include "simd.h"

enum { ADAMW_PARTS = 64 };

/* Numbers in one part, a multiple of a cache line so that whole vectors stay whole. */
static int64_t adamw_part(int64_t total) {
    return ((total + ADAMW_PARTS - 1) / ADAMW_PARTS + 15) / 16 * 16;
}

/* Elements [i, end) of one parameter. */
static void adamw_range(const adamw_array *array, int64_t i, int64_t end, const AdamwVectors *f) {
    float *param = array->param, *m = array->m, *v = array->v;
    const float *grad = array->grad;
    for (; i + LANES <= end; i += LANES) {
        vf a = v_load(m + i), b = v_load(v + i);
        v_store(param + i, adamw_lanes(v_load(param + i), v_load(grad + i), &a, &b, f));
        v_store(m + i, a);
        v_store(v + i, b);
    }
    if (i < end) {
        int64_t k = end - i;
        vf a = v_load_part(m + i, k), b = v_load_part(v + i, k);
        vf p = adamw_lanes(v_load_part(param + i, k), v_load_part(grad + i, k), &a, &b, f);
        v_store_part(param + i, p, k);
        v_store_part(m + i, a, k);
        v_store_part(v + i, b, k);
    }
}

int adamw_overlap(const adamw_array *arrays, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const adamw_array *a = &arrays[i];
        const float *one[] = {a->param, a->m, a->v};
        for (int64_t j = 0; j < count; j++) {
            const adamw_array *b = &arrays[j];
            const float *other[] = {b->param, b->m, b->v, b->grad};
            if (overlap(one, a->n, other, b->n, 3, 4, i == j)) return 1;
        }
    }
    return 0;
}

void adamw_update(const adamw_array *arrays, int64_t count, const adamw_factors *factors) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) total += arrays[i].n;
    const int64_t size = adamw_part(total);
    PARALLEL_FOR(part, ADAMW_PARTS, 30 * size) {
        const AdamwVectors f = adamw_vectors(factors);
        int64_t from = part * size, end = from + size; /* counted from the start of array i */
        for (int64_t i = 0; i < count; from -= arrays[i].n, end -= arrays[i].n, i++)
            adamw_range(&arrays[i], from > 0 ? from : 0, end < arrays[i].n ? end : arrays[i].n, &f);
    }
}

/* Sixteen sums side by side, for the compiler to keep in vectors of doubles. */
#define SQUARES_WIDTH 16

static double sum_of_squares_range(const float *x, int64_t i, int64_t end) {
    double sums[SQUARES_WIDTH] = {0}, total = 0;
    for (; i + SQUARES_WIDTH <= end; i += SQUARES_WIDTH)
        for (int j = 0; j < SQUARES_WIDTH; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < end; i++) total += (double)x[i] * (double)x[i];
    for (int j = 0; j < SQUARES_WIDTH; j++) total += sums[j];
    return total;
}

double sum_of_squares(const float_array *arrays, int64_t count) {
    double parts[ADAMW_PARTS] = {0}, sum = 0;
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) total += arrays[i].n;
    const int64_t size = adamw_part(total);
    PARALLEL_FOR(part, ADAMW_PARTS, size) {
        int64_t from = part * size, end = from + size; /* counted from the start of array i */
        for (int64_t i = 0; i < count; from -= arrays[i].n, end -= arrays[i].n, i++)
            parts[part] += sum_of_squares_range(
                arrays[i].x, from > 0 ? from : 0, end < arrays[i].n ? end : arrays[i].n
            );
    }
    for (int part = 0; part < ADAMW_PARTS; part++) sum += parts[part];
    return sum;
}
