/* simd.h's vocabulary in AVX2 and FMA: eight floats, sixteen registers, masks are vectors. Products of
 * bytes are in simd_avx2_words.h and simd_avx2_vnni.h. */
#pragma once
#include <immintrin.h>

#define LANES 8
#define REGISTERS 16
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* a lane is true if its sign bit is set */

static inline vi vi_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vi vi_first_avx2(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), vi_iota());
}
static inline vm v_first(int64_t n) { return _mm256_castsi256_ps(vi_first_avx2(n)); }

static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
/* A masked store is slow where it is microcode (AMD before Zen 4: 42 micro-operations), and callers
 * often hold a whole vector: a branch that is nearly always taken the same way costs nothing. */
static inline vf v_load_part(const float *p, int64_t n) {
    return n >= LANES ? v_load(p) : _mm256_maskload_ps(p, vi_first_avx2(n));
}
static inline vf v_load_half(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
static inline void v_store_part(float *p, vf v, int64_t n) {
    if (n >= LANES)
        v_store(p, v);
    else
        _mm256_maskstore_ps(p, vi_first_avx2(n), v);
}
static inline void v_stream(float *p, vf v) { _mm256_stream_ps(p, v); }
static inline void v_stream_end(void) { _mm_sfence(); }

static inline vf v_zero(void) { return _mm256_setzero_ps(); }
static inline vf v_set1(float x) { return _mm256_set1_ps(x); }
static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_sqrt(vf v) { return _mm256_sqrt_ps(v); }
static inline vf v_abs(vf v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_round(vf v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vm v_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline float v_reduce_add(vf v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float v_reduce_max(vf v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

static inline vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vi_store(void *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
static inline vi vi_set1(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_mul(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
#define vi_shift_left(v, n) _mm256_slli_epi32((v), (n))
#define vi_shift_right(v, n) _mm256_srli_epi32((v), (n))
/* Only a signed comparison exists; flipping both top bits turns the unsigned order into it. */
static inline vm vi_less_unsigned(vi a, vi b) {
    vi top = vi_set1(INT32_MIN);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(vi_xor(b, top), vi_xor(a, top)));
}
static inline vf v_from_int(vi v) { return _mm256_cvtepi32_ps(v); }
static inline vi v_to_int(vf v) { return _mm256_cvtps_epi32(v); }
static inline vi v_as_int(vf v) { return _mm256_castps_si256(v); }
static inline vf v_as_float(vi v) { return _mm256_castsi256_ps(v); }

/* Three rounds, each doubling the size of the blocks that already lie transposed: 1, 2, 4. */
static inline void v_transpose(vf r[8]) {
    vf t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (int j = 0; j < 4; j++) {
        t[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
        t[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
    }
    memcpy(r, t, sizeof t);
}

static inline vi vi_load_bytes(const int8_t *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
static inline void vi_store_bytes(int8_t *p, vi v) {
    const __m256i low = _mm256_set1_epi32(0x0C080400); /* the first byte of each lane, per half */
    v = _mm256_shuffle_epi8(v, low);
    __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)p, both);
}
/* vpermps picks among eight by the low three bits; the fourth bit, moved to the sign, decides. */
static inline vf v_lookup(const float *table, vi index) {
    vf low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
    vf high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(vi_shift_left(index, 28)));
}
