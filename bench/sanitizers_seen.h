/* What a sanitizer of GCC does not see: it instruments the loads and stores of the language, and a
 * masked, streaming or broadcasting instruction is none of them but a function of the compiler. In
 * the sanitized copy of the kernels (sanitizers.py) simd.h includes this behind its ladder: those
 * names of its vocabulary first touch, one by one, the places that they are about to use.
 */
#pragma once

static inline void seen_read(const void *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i++) (void)((const volatile char *)p)[i];
}
static inline void seen_written(void *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i++) ((volatile char *)p)[i] = 0;
}
static inline int64_t seen_floats(int64_t n) { return 4 * (n < LANES ? n : LANES); }

static inline vf seen_load_part(const float *p, int64_t n) {
    seen_read(p, seen_floats(n));
    return v_load_part(p, n);
}
static inline void seen_store_part(float *p, vf v, int64_t n) {
    seen_written(p, seen_floats(n));
    v_store_part(p, v, n);
}
static inline void seen_stream(float *p, vf v) {
    seen_written(p, sizeof v);
    v_stream(p, v);
}
#define v_load_part seen_load_part
#define v_store_part seen_store_part
#define v_stream seen_stream

#if X_BYTES == 2 /* vx_load is the header's own, eight bytes; else it is made of what is seen */
static inline vx seen_vx_load(const int8_t *p) {
    seen_read(p, 8);
    return vx_load(p);
}
#define vx_load seen_vx_load
#endif
