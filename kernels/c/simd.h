/* The vocabulary in which every kernel is written, and the only #if ladder.
 *
 *     vf, LANES          a vector of LANES floats            vi   of LANES 32-bit integers
 *     vm                 a mask, one truth value a lane      REGISTERS  how many vectors they hold
 *
 *     v_load(p) v_store(p, v)            no alignment is asked for
 *     v_load_part(p, n)                  the first n lanes, 0 <= n <= LANES; the others are zero,
 *                                        and the memory behind them is not touched
 *     v_store_part(p, v, n)              likewise
 *     v_stream(p, v)                     a store past the cache, p aligned; v_stream_end() when done
 *     v_load_half(p)                     LANES finite float16, widened
 *     v_zero() v_set1(x)
 *     v_add v_sub v_mul v_div v_sqrt v_abs
 *     v_fma(a, b, c)                     a b + c, rounded once where the CPU can
 *     v_fnma(a, b, c)                    c - a b
 *     v_max(a, b) v_min(a, b)            b if either is nan
 *     v_round(v)                         to the nearest integer, still float
 *     v_less(a, b)                       a < b -> vm
 *     v_first(n)                         the first n lanes -> vm
 *     v_select(m, a, b)                  m ? a : b
 *     v_reduce_add(v) v_reduce_max(v)    one float
 *     v_transpose(r)                     r[LANES] as a LANES x LANES matrix, transposed in place
 *
 *     vi_load vi_store vi_set1 vi_iota() vi_add vi_mul vi_and vi_or vi_xor
 *     vi_shift_left(v, n) vi_shift_right(v, n)     logical, n a constant
 *     vi_less_unsigned(a, b)                       -> vm
 *     v_from_int(vi) v_to_int(vf, rounds to nearest)
 *     v_as_int(vf) v_as_float(vi)                  the same bits
 *
 * Bytes, four to a 32-bit lane (int8 and 4-bit weights; numpy_ref/matmul_int8.py explains):
 *
 *     vw, vw_load(p)                     four weights a lane, signed bytes, as products want them
 *     vx, vx_load(p)                     four x in every lane, from a row that vx_store wrote
 *     vx_store(p, v)                     v, LANES integers that fit signed bytes, made ready for
 *                                        products: X_BYTES for each, one or two
 *     vi_dot_signed(acc, w, x)           acc + the four products of each lane, exact in 32 bits, and
 *                                        X_BIAS (0 or 128) times the sum of the weights
 *     vu_load vu_dot vu_store            likewise with unsigned weights u, of which 128 is to be taken:
 *                                        acc + sum (u - 128) x, and X_BIAS times the sum of x
 *     vi_set4(p)                         the four bytes at p in every lane
 *     vn, vn_dot(acc, u, x)              acc + the four products of bytes of vi: u 0 .. 15, x signed;
 *                                        acc is vi_set1(0) with at most NIBBLE_DOTS products added
 *     vn_sum(acc)                        the sum of each lane as a vi, exact
 *     vi_load_codes(p)                   the bytes at p, the first of each four in the lowest bits
 *     vi_load_bytes(p)                   LANES signed bytes, one a lane
 *     vi_store_bytes(p, v)               the low byte of every lane: LANES bytes
 *     v_lookup(table, vi)                table[low four bits of each lane], table of 16 floats
 *
 * A loop over n floats is the whole vectors and then the rest:
 *
 *     for (; i + LANES <= n; i += LANES) v_store(y + i, f(v_load(x + i)));
 *     if (i < n) v_store_part(y + i, f(v_load_part(x + i, n - i)), n - i);
 *
 * To add an instruction set: one header with these names, one line here, one in build.py, setup.py
 * and library.py, and how to recognise it in cpu.c. Sets that differ in products of bytes alone share
 * all but these.
 */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(KERNELS_GENERIC) /* whatever else the compiler was told */
#include "simd_generic.h"
#elif defined(__AVX512F__)
#include "simd_avx512.h"
#elif defined(__AVXVNNI__)
#include "simd_avx2.h"
#include "simd_avx2_vnni.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#include "simd_avx2_words.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "simd_neon.h"
#include "simd_neon_dot.h"
#elif defined(__aarch64__)
#include "simd_neon.h"
#include "simd_neon_pairs.h"
#else
#include "simd_generic.h"
#endif

static inline vi vi_set4(const int8_t *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return vi_set1(word);
}
#if X_BYTES == 1 /* where products take bytes as they lie in memory */
typedef vi vw, vx;
static inline vw vw_from(vi w) { return w; }
static inline vx vx_load(const int8_t *p) { return vi_set4(p); }
#endif
static inline vw vw_load(const int8_t *p) { return vw_from(vi_load(p)); }

#if X_BIAS /* where products want the weights unsigned as they are, and x signed */
static inline vw vu_load(const uint8_t *p) { return vi_load(p); }
static inline vi vu_dot(vi acc, vw u, vx x) { return vn_dot(acc, u, x); }
static inline void vu_store(int8_t *p, vi v) { vi_store_bytes(p, v); }
#else
static inline vw vu_load(const uint8_t *p) {
    return vw_from(vi_xor(vi_load(p), vi_set1((int32_t)0x80808080)));
}
static inline vi vu_dot(vi acc, vw u, vx x) { return vi_dot_signed(acc, u, x); }
static inline void vu_store(int8_t *p, vi v) { vx_store(p, v); }
#endif

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
static inline vi vi_load_codes(const void *p) {
    vi v = vi_load(p), inner = vi_set1(0x00FF00FF);
    v = vi_or(vi_shift_left(vi_and(v, inner), 8), vi_and(vi_shift_right(v, 8), inner));
    return vi_or(vi_shift_left(v, 16), vi_shift_right(v, 16));
}
#else
static inline vi vi_load_codes(const void *p) { return vi_load(p); }
#endif

typedef vi vn;
enum { NIBBLE_DOTS = 8 };

/* Between a store and the load of a vector that overlaps it in part. Without it GCC 12, on ARM, keeps
 * what an earlier round stored in a register and misses what came between. */
#define overlapping() __asm__ volatile("" ::: "memory")

#define prefetch(p) __builtin_prefetch((p), 0, 3)
#define prefetch_write(p) __builtin_prefetch((p), 1, 3)

/* A function that takes constants: inlined, so that each call is compiled for its own. UNROLL in
 * front of a loop with such a bound lets an array of vectors live in registers. */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
