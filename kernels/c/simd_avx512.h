/* simd.h's vocabulary in AVX-512: sixteen floats, thirty-two registers, masks in their own file. */
#pragma once
#include <immintrin.h>

#define LANES 16
#define REGISTERS 32
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vm v_first(int64_t n) { return (vm)((1u << n) - 1); }

static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vf v_load_part(const float *p, int64_t n) {
    return _mm512_maskz_loadu_ps(v_first(n), p);
}
static inline vf v_load_half(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline void v_store_part(float *p, vf v, int64_t n) {
    _mm512_mask_storeu_ps(p, v_first(n), v);
}
static inline void v_stream(float *p, vf v) { _mm512_stream_ps(p, v); }
static inline void v_stream_end(void) { _mm_sfence(); }

static inline vf v_zero(void) { return _mm512_setzero_ps(); }
static inline vf v_set1(float x) { return _mm512_set1_ps(x); }
static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_sqrt(vf v) { return _mm512_sqrt_ps(v); }
static inline vf v_abs(vf v) { return _mm512_abs_ps(v); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_round(vf v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }

static inline vm v_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline float v_reduce_add(vf v) { return _mm512_reduce_add_ps(v); }
static inline float v_reduce_max(vf v) { return _mm512_reduce_max_ps(v); }

static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void vi_store(void *p, vi v) { _mm512_storeu_si512(p, v); }
static inline vi vi_set1(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi vi_iota(void) {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
#define vi_shift_left(v, n) _mm512_slli_epi32((v), (n))
#define vi_shift_right(v, n) _mm512_srli_epi32((v), (n))
static inline vm vi_less_unsigned(vi a, vi b) { return _mm512_cmplt_epu32_mask(a, b); }
static inline vf v_from_int(vi v) { return _mm512_cvtepi32_ps(v); }
static inline vi v_to_int(vf v) { return _mm512_cvtps_epi32(v); }
static inline vi v_as_int(vf v) { return _mm512_castps_si512(v); }
static inline vf v_as_float(vi v) { return _mm512_castsi512_ps(v); }

/* Four rounds, each doubling the size of the blocks that already lie transposed: 1, 2, 4, 8. */
static inline void v_transpose(vf r[16]) {
    vf t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 4; j++) {
            t[i + j] = _mm512_shuffle_f32x4(r[i + j], r[i + 4 + j], 0x88);
            t[i + 4 + j] = _mm512_shuffle_f32x4(r[i + j], r[i + 4 + j], 0xDD);
        }
    for (int j = 0; j < 8; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xDD);
    }
}

/* Bytes (AVX-512 VNNI): vpdpbusd adds four products of unsigned and signed bytes to each lane,
 * in 32 bits without saturation. The signed product gets its x with 128 added. */
#define X_BIAS 128
#define X_BYTES 1
static inline vi vi_dot_signed(vi acc, vi w, vi x) { return _mm512_dpbusd_epi32(acc, x, w); }
static inline vi vn_dot(vi acc, vi u, vi x) { return _mm512_dpbusd_epi32(acc, u, x); }
static inline vi vn_sum(vi acc) { return acc; }
static inline vi vi_load_bytes(const int8_t *p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}
static inline void vi_store_bytes(int8_t *p, vi v) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(v));
}
static inline void vx_store(int8_t *p, vi v) { vi_store_bytes(p, vi_add(v, vi_set1(X_BIAS))); }
static inline vf v_lookup(const float *table, vi index) {
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table)); /* reads the low four bits */
}
