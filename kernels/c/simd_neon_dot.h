/* Products of bytes on ARM since 2018 (the dot product of ARMv8.2): SDOT adds the four products of
 * each lane, both sides signed, in 32 bits. */
#pragma once

#define X_BIAS 0
#define X_BYTES 1
static inline vi vi_dot_signed(vi acc, vi w, vi x) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
}
static inline vi vn_dot(vi acc, vi u, vi x) { return vi_dot_signed(acc, u, x); }
static inline vi vn_sum(vi acc) { return acc; }
static inline void vx_store(int8_t *p, vi v) { vi_store_bytes(p, v); }
