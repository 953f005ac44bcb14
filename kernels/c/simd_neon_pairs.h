/* Products of bytes in NEON without SDOT: eight products in 16 bits at a time, exact, -128 included,
 * whose neighbours are added in pairs: in 32 bits, for 2 * 128 * 128 is one too many for 16.
 * Nibbles' pairs stay in 16 bits for a block of 32: 8 * 2 * 15 * 128 = 30720. */
#pragma once

#define X_BIAS 0
#define X_BYTES 1
static inline int16x8_t neon_low_products(vi a, vi b) {
    return vmull_s8(vget_low_s8(vreinterpretq_s8_s32(a)), vget_low_s8(vreinterpretq_s8_s32(b)));
}
static inline int16x8_t neon_high_products(vi a, vi b) {
    return vmull_high_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}
static inline vi vi_dot_signed(vi acc, vi w, vi x) {
    vi low = vpaddlq_s16(neon_low_products(w, x)), high = vpaddlq_s16(neon_high_products(w, x));
    return vi_add(acc, vpaddq_s32(low, high));
}
static inline vi vn_dot(vi acc, vi u, vi x) {
    int16x8_t pairs = vpaddq_s16(neon_low_products(u, x), neon_high_products(u, x));
    return vreinterpretq_s32_s16(vaddq_s16(vreinterpretq_s16_s32(acc), pairs));
}
static inline vi vn_sum(vi acc) { return vpaddlq_s16(vreinterpretq_s16_s32(acc)); }
static inline void vx_store(int8_t *p, vi v) { vi_store_bytes(p, v); }
