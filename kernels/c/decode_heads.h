/* Keys and values as the cache keeps them: floats, or bytes with a scale behind each head's.
 *
 * What a head of bytes is: numpy_ref/heads.py. Its codes are widened where they are multiplied, in
 * registers, and its scale meets a whole sum of products, or the weight of a position. What takes
 * `rounded` is compiled for each kind.
 */
#pragma once
#include "decode_team.h"

enum { HEAD_SCALE = 4 }; /* bytes */

/* Bytes of one head. */
INLINE int64_t head_bytes(int64_t D, const int rounded) {
    return rounded ? D + HEAD_SCALE : D * (int64_t)sizeof(float);
}

/* What its numbers from i on are, n of them, at most LANES, and zeros; without their scale. */
INLINE vf head_load(const char *head, int64_t i, int64_t n, const int rounded) {
    if (!rounded) return v_load_part((const float *)head + i, n);
    if (n >= LANES) return v_from_int(vi_load_bytes((const int8_t *)head + i));
    int8_t some[LANES] = {0}; /* behind the last head of all there is nothing to be read */
    memcpy(some, head + i, n);
    return v_from_int(vi_load_bytes(some));
}

INLINE float head_scale(const char *head, int64_t D, const int rounded) {
    float scale = 1;
    if (rounded) memcpy(&scale, head + D, sizeof scale);
    return scale;
}

/* Ask for the LANES positions after these. Bytes are so few lines that they have come by then: eight
 * texts of 130 tokens then spend 0.43 of the time of their products on attention, not 0.61
 * (bench/LOG.md). With floats, four times as many, it made nothing faster. */
static inline void heads_ahead(const char *heads, int64_t stride) {
    for (int64_t i = LANES * stride; i < 2 * LANES * stride; i += 64) prefetch(heads + i);
}

/* Keep x (D). */
static void head_store(char *head, const float *x, int64_t D, int rounded) {
    if (!rounded) {
        memcpy(head, x, D * sizeof *x);
        return;
    }
    const float scale = row_scale(x, D);
    const vf inverse = row_inverse(scale);
    for (int64_t i = 0; i < D; i += LANES) {
        int8_t codes[LANES];
        vi_store_bytes(codes, row_codes(x, i, D, inverse));
        memcpy(head + i, codes, D - i < LANES ? D - i : LANES);
    }
    memcpy(head + D, &scale, sizeof scale);
}

/* q times LANES heads of bytes, `stride` bytes apart, as float_dots. Beyond `rows` the first one is
 * read instead. */
static vf head_dots(const char *heads, int64_t stride, int64_t rows, const float *q, int64_t D) {
    vf sum[LANES], scale;
    const char *row[LANES];
    float scales[LANES];
    UNROLL for (int r = 0; r < LANES; r++) {
        row[r] = heads + (r < rows ? r : 0) * stride;
        scales[r] = head_scale(row[r], D, 1);
        sum[r] = v_zero();
    }
    int64_t i = 0;
    for (; i + LANES <= D; i += LANES) {
        vf some = v_load(q + i);
        UNROLL for (int r = 0; r < LANES; r++)
            sum[r] = v_fma(head_load(row[r], i, LANES, 1), some, sum[r]);
    }
    if (i < D) {
        vf some = v_load_part(q + i, D - i);
        for (int r = 0; r < LANES; r++)
            sum[r] = v_fma(head_load(row[r], i, D - i, 1), some, sum[r]);
    }
    scale = v_load(scales);
    v_transpose(sum);
    UNROLL for (int r = 1; r < LANES; r++) sum[0] = v_add(sum[0], sum[r]);
    return v_mul(sum[0], scale);
}
