/* Dropout whose mask is a hash of (key, index): nothing is saved for backward.
 *
 *     y_i = hash(key, i) >= threshold ? x_i scale : 0
 *
 * x, y: n floats; y may be x. One pass. Backward is the same function on dy. The hash is
 * MurmurHash3's finaliser, twice (Appleby 2011): bit for bit that of numpy_ref/dropout.py.
 */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

static inline vi dropout_mix(vi h) {
    h = vi_mul(vi_xor(h, vi_shift_right(h, 16)), vi_set1((int32_t)0x85EBCA6B));
    h = vi_mul(vi_xor(h, vi_shift_right(h, 13)), vi_set1((int32_t)0xC2B2AE35));
    return vi_xor(h, vi_shift_right(h, 16));
}

static inline vf dropout_lanes(vf x, vi index, vi low, vi high, vi threshold, vf scale) {
    vi h = dropout_mix(vi_xor(dropout_mix(vi_xor(index, low)), high));
    return v_select(vi_less_unsigned(h, threshold), v_zero(), v_mul(x, scale));
}

#define DROPOUT_BLOCK 4096 /* elements in one iteration of the parallel loop */

void dropout_forward(
    const float *x, float *y, int64_t n, uint32_t key_low, uint32_t key_high, uint32_t threshold,
    float scale
) {
    vi low = vi_set1((int32_t)key_low), high = vi_set1((int32_t)key_high);
    vi limit = vi_set1((int32_t)threshold);
    PARALLEL_FOR(block, (n + DROPOUT_BLOCK - 1) / DROPOUT_BLOCK, 16 * DROPOUT_BLOCK) {
        int64_t i = block * DROPOUT_BLOCK, end = i + DROPOUT_BLOCK < n ? i + DROPOUT_BLOCK : n;
        vf f = v_set1(scale);
        for (; i + LANES <= end; i += LANES) {
            vi index = vi_add(vi_iota(), vi_set1((int32_t)(uint32_t)i)); /* wraps after 2^32 */
            v_store(y + i, dropout_lanes(v_load(x + i), index, low, high, limit, f));
        }
        if (i < end) {
            vi index = vi_add(vi_iota(), vi_set1((int32_t)(uint32_t)i));
            vf rest = dropout_lanes(v_load_part(x + i, end - i), index, low, high, limit, f);
            v_store_part(y + i, rest, end - i);
        }
    }
}
