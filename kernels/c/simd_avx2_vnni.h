/* Products of bytes in AVX-VNNI: vpdpbusd, AVX-512's, on eight lanes. It adds four products of
 * unsigned and signed bytes to each lane, in 32 bits without saturation; the signed product gets its
 * x with 128 added. */
#pragma once

#define X_BIAS 128
#define X_BYTES 1
static inline vi vi_dot_signed(vi acc, vi w, vi x) { return _mm256_dpbusd_avx_epi32(acc, x, w); }
static inline vi vn_dot(vi acc, vi u, vi x) { return _mm256_dpbusd_avx_epi32(acc, u, x); }
static inline vi vn_sum(vi acc) { return acc; }
static inline void vx_store(int8_t *p, vi v) { vi_store_bytes(p, vi_add(v, vi_set1(X_BIAS))); }
