/* Products of bytes in AVX2, which has none that are exact: words are multiplied instead.
 *
 * vpmaddubsw would multiply unsigned by signed bytes, but it adds two products in 16 bits and
 * *saturates*: 255 * 127 * 2 becomes 32767. So the signed product takes 16-bit words, for vpmaddwd,
 * whose 32-bit sums of two products are exact, -128 included. Of four neighbours it multiplies the
 * even ones and the odd ones: x is stored as words, in the order 0 2 1 3; weights are widened as they
 * come, once for all rows of x. (vpmaddubsw of |w| and x with w's sign would be exact but for x = -128.
 * For one row it was 5 % faster, for four 15 % slower: three multipliers' work instead of two.)
 * Nibbles may use vpmaddubsw, and stay in its 16 bits for a block of 32: 8 * 2 * 15 * 128 = 30720. */
#pragma once

#define X_BIAS 0
#define X_BYTES 2
typedef struct {
    vi even, odd;
} vw;
typedef vw vx;
static inline vw vw_from(vi w) {
    return (vw){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}
static inline vx vx_load(const int8_t *p) {
    return (vx){_mm256_castps_si256(_mm256_broadcast_ss((const float *)p)),
                _mm256_castps_si256(_mm256_broadcast_ss((const float *)(p + 4)))};
}
static inline vi vi_dot_signed(vi acc, vw w, vx x) {
    vi even = _mm256_madd_epi16(w.even, x.even), odd = _mm256_madd_epi16(w.odd, x.odd);
    return _mm256_add_epi32(_mm256_add_epi32(acc, even), odd);
}
static inline void vx_store(int8_t *p, vi v) {
    const vi words = _mm256_set1_epi64x(0x0D0C050409080100); /* low halves of lanes 0 2 1 3 */
    vi eight = _mm256_shuffle_epi8(v, words);
    __m128i first = _mm256_castsi256_si128(eight), second = _mm256_extracti128_si256(eight, 1);
    _mm_storeu_si128((__m128i *)p, _mm_unpacklo_epi64(first, second));
}
static inline vi vn_dot(vi acc, vi u, vi x) {
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(u, x));
}
static inline vi vn_sum(vi acc) { return _mm256_madd_epi16(acc, _mm256_set1_epi16(1)); }
