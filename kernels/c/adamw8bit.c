/* AdamW on moments of one byte a value; numpy_ref/adamw8bit.py says why and derives the rounding.
 *
 *     m = m_scale sign(c) (c / 127)^2,  v = v_scale (c / 255)^4      a scale for each 256 values
 *
 * One pass: a block's moments are decoded, updated and coded again while they lie in 2 kB of the
 * first cache. Memory moved: 16 bytes a value, where adamw.c moves 28. param, m, v and the scales are
 * read and written in place; blocks are shared out among the threads and do not see each other.
 */
#include "adamw.h"
#include "kernels.h"
#include "parallel.h"

enum { ADAMW8BIT_BLOCK = 256 };
#define ADAMW8BIT_TINY 0x1p-126f /* the smallest normal number: below it a block counts as zeros */

/* |values| of the block times this are their share of its largest. */
static inline vf adamw8bit_inverse(float scale) {
    return v_set1(scale >= ADAMW8BIT_TINY ? 1.0f / scale : 0.0f);
}

/* At a whole level this may be the level or the one below it: both then round to the same code. */
static inline vf adamw8bit_below(vf level) { return v_round(v_sub(level, v_set1(0.5f))); }

/* below, or below + 1 if rise > noise * gap: the chance rise / gap keeps the mean value. */
static inline vf adamw8bit_round(vf below, vf rise, vf gap, vf noise) {
    vm up = v_less(v_mul(noise, gap), rise);
    return v_select(up, v_add(below, v_set1(1)), below);
}

static inline vf adamw8bit_decode_signed(const int8_t *codes, vf scale) {
    vf x = v_mul(v_from_int(vi_load_bytes(codes)), v_set1(1.0f / 127));
    return v_mul(v_mul(x, v_abs(x)), scale);
}

static inline vf adamw8bit_decode_positive(const uint8_t *codes, vf scale) {
    vi code = vi_and(vi_load_bytes((const int8_t *)codes), vi_set1(255));
    vf x = v_mul(v_from_int(code), v_set1(1.0f / 255));
    x = v_mul(x, x);
    return v_mul(v_mul(x, x), scale);
}

static inline vi adamw8bit_encode_signed(vf value, vf inverse, vf noise) {
    vf x = v_mul(v_min(v_mul(v_abs(value), inverse), v_set1(1)), v_set1(127 * 127));
    vf below = adamw8bit_below(v_sqrt(x)), one = v_set1(1);
    vf gap = v_add(v_add(below, below), one);
    vf code = adamw8bit_round(below, v_sub(x, v_mul(below, below)), gap, noise);
    return v_to_int(v_select(v_less(value, v_zero()), v_sub(v_zero(), code), code));
}

static inline vi adamw8bit_encode_positive(vf value, vf inverse, vf noise) {
    vf q = v_mul(v_sqrt(v_min(v_mul(value, inverse), v_set1(1))), v_set1(255 * 255));
    vf below = adamw8bit_below(v_sqrt(q)), one = v_set1(1);
    vf square = v_mul(below, below), twice = v_add(below, below);
    vf gap = v_mul(v_add(twice, one), v_add(v_add(v_add(square, square), twice), one));
    vf rise = v_mul(v_sub(q, square), v_add(q, square));
    vf code = adamw8bit_round(below, rise, gap, noise);
    return v_to_int(v_max(code, v_select(v_less(v_zero(), value), one, v_zero())));
}

/* dither: of the block's first value, in 2^-32; each next value adds the golden ratio. */
static void adamw8bit_block(
    float *param, const float *grad, int8_t *m, float *m_scale, uint8_t *v, float *v_scale,
    uint32_t dither, const AdamwVectors *f
) {
    float first[ADAMW8BIT_BLOCK], second[ADAMW8BIT_BLOCK]; /* the moments */
    vf a_scale = v_set1(*m_scale), b_scale = v_set1(*v_scale);
    vf a_most = v_zero(), b_most = v_zero();
    for (int i = 0; i < ADAMW8BIT_BLOCK; i += LANES) {
        vf a = adamw8bit_decode_signed(m + i, a_scale);
        vf b = adamw8bit_decode_positive(v + i, b_scale);
        v_store(param + i, adamw_lanes(v_load(param + i), v_load(grad + i), &a, &b, f));
        v_store(first + i, a);
        v_store(second + i, b);
        a_most = v_max(a_most, v_abs(a));
        b_most = v_max(b_most, b);
    }
    *m_scale = v_reduce_max(a_most);
    *v_scale = v_reduce_max(b_most);
    vf a_inverse = adamw8bit_inverse(*m_scale), b_inverse = adamw8bit_inverse(*v_scale);
    const int32_t golden = (int32_t)0x9E3779B9;
    vi bits = vi_add(vi_mul(vi_iota(), vi_set1(golden)), vi_set1((int32_t)dither));
    vi stride = vi_mul(vi_set1(LANES), vi_set1(golden));
    for (int i = 0; i < ADAMW8BIT_BLOCK; i += LANES) {
        vf noise = v_mul(v_from_int(vi_shift_right(bits, 8)), v_set1(0x1p-24f));
        bits = vi_add(bits, stride);
        vi_store_bytes(m + i, adamw8bit_encode_signed(v_load(first + i), a_inverse, noise));
        vi b = adamw8bit_encode_positive(v_load(second + i), b_inverse, noise);
        vi_store_bytes((int8_t *)v + i, b);
    }
}

/* The last block, if it is not full: on copies with zeros after the end. */
static void adamw8bit_rest(
    float *param, const float *grad, int8_t *m, float *m_scale, uint8_t *v, float *v_scale,
    uint32_t dither, const AdamwVectors *f, size_t n
) {
    float p[ADAMW8BIT_BLOCK] = {0}, g[ADAMW8BIT_BLOCK] = {0};
    int8_t a[ADAMW8BIT_BLOCK] = {0};
    uint8_t b[ADAMW8BIT_BLOCK] = {0};
    memcpy(p, param, n * sizeof *p);
    memcpy(g, grad, n * sizeof *g);
    memcpy(a, m, n);
    memcpy(b, v, n);
    adamw8bit_block(p, g, a, m_scale, b, v_scale, dither, f);
    memcpy(param, p, n * sizeof *p);
    memcpy(m, a, n);
    memcpy(v, b, n);
}

void adamw8bit_update(
    float *param, const float *grad, int8_t *m, float *m_scale, uint8_t *v, float *v_scale,
    int64_t n, uint32_t dither, const adamw_factors *factors
) {
    int64_t blocks = (n + ADAMW8BIT_BLOCK - 1) / ADAMW8BIT_BLOCK;
    PARALLEL_FOR(block, blocks, 80 * ADAMW8BIT_BLOCK) {
        const AdamwVectors f = adamw_vectors(factors);
        int64_t i = block * ADAMW8BIT_BLOCK, rest = n - i;
        uint32_t start = dither + (uint32_t)i * 0x9E3779B9u;
        if (rest >= ADAMW8BIT_BLOCK)
            adamw8bit_block(
                param + i, grad + i, m + i, m_scale + block, v + i, v_scale + block, start, &f
            );
        else
            adamw8bit_rest(
                param + i, grad + i, m + i, m_scale + block, v + i, v_scale + block, start, &f,
                (size_t)rest
            );
    }
}
