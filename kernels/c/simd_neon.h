/* simd.h's vocabulary in NEON, which every 64-bit ARM has: four floats, thirty-two registers. Products
 * of bytes are in simd_neon_pairs.h and simd_neon_dot.h. */
#pragma once
#include <arm_neon.h>

#define LANES 4
#define REGISTERS 32
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm; /* a lane is true if all its bits are set */

static inline vi vi_set1(int32_t x) { return vdupq_n_s32(x); }
static inline vi vi_iota(void) {
    const int32_t counted[LANES] = {0, 1, 2, 3};
    return vld1q_s32(counted);
}
static inline vm v_first(int64_t n) { return vcltq_s32(vi_iota(), vi_set1((int32_t)n)); }

static inline vf v_zero(void) { return vdupq_n_f32(0); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf v) { vst1q_f32(p, v); }
/* There is no masked load or store: lane by lane, but for the whole vector that callers often hold. */
static inline vf v_load_part(const float *p, int64_t n) {
    if (n >= LANES) return v_load(p);
    vf v = v_zero();
    if (n > 0) v = vld1q_lane_f32(p, v, 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}
static inline void v_store_part(float *p, vf v, int64_t n) {
    if (n >= LANES) {
        v_store(p, v);
        return;
    }
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}
/* No compiler has a word for the store that passes the cache by (STNP). */
static inline void v_stream(float *p, vf v) { v_store(p, v); }
static inline void v_stream_end(void) {}
static inline vf v_load_half(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf v_set1(float x) { return vdupq_n_f32(x); }
static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_sqrt(vf v) { return vsqrtq_f32(v); }
static inline vf v_abs(vf v) { return vabsq_f32(v); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
static inline vf v_round(vf v) { return vrndnq_f32(v); }

static inline vm v_less(vf a, vf b) { return vcltq_f32(a, b); }
static inline vf v_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
/* FMAX returns nan if either is; a comparison with nan is false, and b is taken. */
static inline vf v_max(vf a, vf b) { return v_select(vcgtq_f32(a, b), a, b); }
static inline vf v_min(vf a, vf b) { return v_select(v_less(a, b), a, b); }
static inline float v_reduce_add(vf v) { return vaddvq_f32(v); }
static inline float v_reduce_max(vf v) { return vmaxvq_f32(v); }

static inline vi vi_load(const void *p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
static inline void vi_store(void *p, vi v) { vst1q_s8(p, vreinterpretq_s8_s32(v)); }
static inline vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi vi_mul(vi a, vi b) { return vmulq_s32(a, b); }
static inline vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
static inline vi vi_xor(vi a, vi b) { return veorq_s32(a, b); }
#define vi_shift_left(v, n) vshlq_n_s32((v), (n))
#define vi_shift_right(v, n) vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), (n)))
static inline vm vi_less_unsigned(vi a, vi b) {
    return vcltq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b));
}
static inline vf v_from_int(vi v) { return vcvtq_f32_s32(v); }
static inline vi v_to_int(vf v) { return vcvtnq_s32_f32(v); }
static inline vi v_as_int(vf v) { return vreinterpretq_s32_f32(v); }
static inline vf v_as_float(vi v) { return vreinterpretq_f32_s32(v); }

/* The even and the odd elements of two rows, then their halves. */
static inline void v_transpose(vf r[4]) {
    float64x2_t even = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
    float64x2_t odd = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t even_below = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
    float64x2_t odd_below = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(even, even_below));
    r[1] = vreinterpretq_f32_f64(vzip1q_f64(odd, odd_below));
    r[2] = vreinterpretq_f32_f64(vzip2q_f64(even, even_below));
    r[3] = vreinterpretq_f32_f64(vzip2q_f64(odd, odd_below));
}

static inline vi vi_load_bytes(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    int8x8_t bytes = vreinterpret_s8_s32(vdup_n_s32(four));
    return vmovl_s16(vget_low_s16(vmovl_s8(bytes)));
}
static inline void vi_store_bytes(int8_t *p, vi v) {
    int16x4_t words = vmovn_s32(v);
    int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    memcpy(p, &four, sizeof four);
}
/* TBL picks bytes of four registers: those of number i are 4 i .. 4 i + 3. */
static inline vf v_lookup(const float *table, vi index) {
    const uint8_t *bytes = (const uint8_t *)table;
    uint8x16x4_t all = {{vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32),
                         vld1q_u8(bytes + 48)}};
    vi first = vi_mul(vi_and(index, vi_set1(15)), vi_set1(0x04040404));
    uint8x16_t at = vreinterpretq_u8_s32(vi_add(first, vi_set1(0x03020100)));
    return vreinterpretq_f32_u8(vqtbl4q_u8(all, at));
}
