/* simd.h's vocabulary in the vectors of GCC and Clang, which any CPU runs: four floats.
 * On x86-64 they compile to SSE2, on 64-bit ARM to NEON. */
#pragma once

#define LANES 4
#define REGISTERS 16
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu_generic __attribute__((vector_size(16)));
typedef vi vm; /* a lane is true if all its bits are set */

static inline vi vi_set1(int32_t x) { return (vi){x, x, x, x}; }
static inline vi vi_iota(void) { return (vi){0, 1, 2, 3}; }
static inline vm v_first(int64_t n) { return vi_iota() < vi_set1((int32_t)n); }

static inline vf v_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void v_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
static inline vf v_load_part(const float *p, int64_t n) {
    vf v = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
static inline void v_store_part(float *p, vf v, int64_t n) {
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
}
static inline void v_stream(float *p, vf v) { v_store(p, v); }
static inline void v_stream_end(void) {}

static inline vf v_set1(float x) { return (vf){x, x, x, x}; }
static inline vf v_zero(void) { return v_set1(0); }
static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_div(vf a, vf b) { return a / b; }
static inline vf v_sqrt(vf v) {
    return (vf){sqrtf(v[0]), sqrtf(v[1]), sqrtf(v[2]), sqrtf(v[3])};
}
static inline vf v_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf v_fnma(vf a, vf b, vf c) { return c - a * b; }

static inline vm v_less(vf a, vf b) { return a < b; }
static inline vf v_select(vm m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }
static inline vf v_max(vf a, vf b) { return v_select(a > b, a, b); }
static inline vf v_min(vf a, vf b) { return v_select(a < b, a, b); }
static inline vf v_abs(vf v) { return (vf)((vi)v & vi_set1(INT32_MAX)); }
static inline float v_reduce_add(vf v) { return (v[0] + v[2]) + (v[1] + v[3]); }
static inline float v_reduce_max(vf v) {
    float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}

static inline vi vi_load(const void *p) {
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vi_store(void *p, vi v) { memcpy(p, &v, sizeof v); }
static inline vi vi_add(vi a, vi b) { return (vi)((vu_generic)a + (vu_generic)b); }
static inline vi vi_mul(vi a, vi b) { return (vi)((vu_generic)a * (vu_generic)b); }
static inline vi vi_and(vi a, vi b) { return a & b; }
static inline vi vi_or(vi a, vi b) { return a | b; }
static inline vi vi_xor(vi a, vi b) { return a ^ b; }
#define vi_shift_left(v, n) ((vi)((vu_generic)(v) << (n)))
#define vi_shift_right(v, n) ((vi)((vu_generic)(v) >> (n)))
static inline vm vi_less_unsigned(vi a, vi b) { return (vu_generic)a < (vu_generic)b; }
/* A float16's exponent and fraction, moved to where a float has them, stand for 2^-112 as much. */
static inline vf v_load_half(const uint16_t *p) {
    vi half = {p[0], p[1], p[2], p[3]};
    vf size = (vf)vi_shift_left(half & vi_set1(0x7FFF), 13) * v_set1(0x1p112f);
    return (vf)((vi)size | vi_shift_left(half & vi_set1(0x8000), 16));
}
static inline vi v_as_int(vf v) { return (vi)v; }
static inline vf v_as_float(vi v) { return (vf)v; }
static inline vf v_from_int(vi v) { return __builtin_convertvector(v, vf); }

/* Adding 1.5 * 2^23 leaves no bits for a fraction: the addition itself rounds to nearest. That holds
 * for |v| < 2^22; whatever is larger than 2^23 is an integer already. */
static inline vf v_round(vf v) {
    vf magic = v_set1(12582912.0f), small = v + magic;
    return v_select(v_abs(v) < v_set1(4194304.0f), small - magic, v);
}
static inline vi v_to_int(vf v) { return __builtin_convertvector(v_round(v), vi); }

static inline void v_transpose(vf r[4]) {
    vf t[4];
    for (int i = 0; i < 4; i++) t[i] = (vf){r[0][i], r[1][i], r[2][i], r[3][i]};
    memcpy(r, t, sizeof t);
}

/* Bytes: one at a time, moved to the top of the lane and back for its sign. */
#define X_BIAS 0
#define X_BYTES 1
static inline vi vi_dot_signed(vi acc, vi w, vi x) {
    for (int shift = 24; shift >= 0; shift -= 8)
        acc = vi_add(acc, vi_mul((w << shift) >> 24, (x << shift) >> 24));
    return acc;
}
static inline vi vn_dot(vi acc, vi u, vi x) { return vi_dot_signed(acc, u, x); }
static inline vi vn_sum(vi acc) { return acc; }
static inline vi vi_load_bytes(const int8_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
static inline void vi_store_bytes(int8_t *p, vi v) {
    for (int i = 0; i < LANES; i++) p[i] = (int8_t)v[i];
}
static inline void vx_store(int8_t *p, vi v) { vi_store_bytes(p, v); }
static inline vf v_lookup(const float *table, vi index) {
    return (vf){table[index[0] & 15], table[index[1] & 15], table[index[2] & 15],
                table[index[3] & 15]};
}
