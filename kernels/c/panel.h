/* A panel: 16 outputs of x W^T at once, for weights in float32, int8, int4 or NF4.
 *
 * W's rows 16 p .. 16 p + 15 lie side by side (kernels/packing.py), so a vector of weights meets one
 * broadcast piece of x and the sums need no adding across lanes. Every weight is read once, in the
 * order of memory; `rows` rows of x share it. The functions are inlined with a constant number of
 * rows: PANEL_ROWS for many rows (prefill), 1 for the rest and for one token (decode.c).
 *
 * Who calls: matmul_int8.c, matmul_int4.c, matmul_nf4.c, linear_packed.c, decode.c.
 */
#pragma once
#include "activation.h"
#include "simd.h"

enum {
    PANEL = 16,
    PANEL_VECTORS = PANEL / LANES, /* vectors that hold one number for each output */
    PANEL_ROWS = LANES / 2,        /* 8, 4, 2: sums and a weight fit the registers */
    INT4_GROUP = 32,
    NF4_GROUP = 64,
    X_BLOCK = 32,      /* of Q4_1 and Q8_0 */
    ROW_BLOCK = 256, /* rows of x whose bytes stay in the second-level cache */
    WEIGHTS_AHEAD = 1536, /* bytes from the weights in use to those that are asked for */
};

enum { FLOATS, INT8, INT4, NF4, Q4_1, Q8_0 }; /* schemes; from 1 on as kernels/packing.py numbers them */

/* Ask for the weights that follow. With one row of x a step's arithmetic is as short as its read, and
 * a core by itself looks ahead too little: 124 M in int8 went from 0.7 to 0.85 of the bandwidth
 * (bench/LOG.md). With more rows the arithmetic covers the read. Beyond the last panel it does nothing. */
INLINE void fetch_ahead(const void *w, const int rows) {
    if (rows == 1) prefetch((const char *)w + WEIGHTS_AHEAD);
}

static inline int64_t panel_count(int64_t n) { return (n + PANEL - 1) / PANEL; }
static inline int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/* One 32-bit word of codes as numbers without their scale: four of bytes, eight of 4 bits, of which
 * the low halves of the bytes hold the first four. */
INLINE void packed_word(const int scheme, const uint8_t *w, const float *levels, float *y) {
    UNROLL for (int j = 0; j < 4; j++) {
        if (scheme == INT8) y[j] = (int8_t)w[j];
        if (scheme == Q8_0) y[j] = (float)(w[j] - 128);
    }
    if (scheme == INT8 || scheme == Q8_0) return;
    UNROLL for (int j = 0; j < 8; j++) {
        int code = w[j % 4] >> (j < 4 ? 0 : 4) & 15;
        y[j] = scheme == INT4 ? (float)(code - 8) : scheme == NF4 ? levels[code] : (float)code;
    }
}

/* As v_load_half, of one. */
static inline float half_to_float(uint16_t half) {
    const uint32_t bits = (uint32_t)(half & 0x7FFF) << 13;
    float size;
    memcpy(&size, &bits, sizeof size);
    return half & 0x8000 ? -(size * 0x1p112f) : size * 0x1p112f;
}

/* What a group's numbers are multiplied by, then raised by, in lane `id` mod PANEL. */
INLINE void packed_scale(const int scheme, const void *scale, int64_t groups, int64_t id,
                         int64_t group, float *factor, float *minimum) {
    const int64_t at = (id / PANEL * groups + group) * PANEL + id % PANEL;
    *factor = *minimum = 0;
    if (scheme == INT8) *factor = ((const float *)scale)[id];
    if (scheme == INT4 || scheme == NF4) *factor = ((const float *)scale)[at];
    if (scheme == Q8_0) *factor = half_to_float(((const uint16_t *)scale)[at]);
    if (scheme == Q4_1) {
        const uint16_t *both = (const uint16_t *)scale + 2 * at - id % PANEL;
        *factor = half_to_float(both[0]);
        *minimum = half_to_float(both[PANEL]);
    }
}

/* A row's words lie PANEL words apart. */
INLINE void packed_row_of(const int scheme, const uint8_t *codes, const void *scale,
                          const float *levels, int64_t id, int64_t k, float *y) {
    const int64_t count = scheme == INT8 || scheme == Q8_0 ? 4 : 8;
    const int64_t group = scheme == INT8 ? 4 : scheme == NF4 ? NF4_GROUP : INT4_GROUP;
    const int64_t groups = (k + group - 1) / group;
    const uint8_t *w = codes + (id / PANEL * groups * (group / count) * PANEL + id % PANEL) * 4;
    float factor = 0, minimum = 0;
    for (int64_t i = 0; i < k; i += count, w += 4 * PANEL) {
        float word[8];
        if (i % group == 0)
            packed_scale(scheme, scale, groups, id, i / group, &factor, &minimum);
        packed_word(scheme, w, levels, word);
        UNROLL for (int j = 0; j < count; j++) word[j] = word[j] * factor + minimum;
        if (i + count <= k)
            memcpy(y + i, word, count * sizeof *y);
        else
            memcpy(y + i, word, (k - i) * sizeof *y);
    }
}

/* y (k) = row `id` of what the codes of any scheme but FLOATS stand for. */
static void packed_row(int64_t scheme, const void *codes, const void *scale, const float *levels,
                       int64_t id, int64_t k, float *y) {
    if (scheme == INT8) packed_row_of(INT8, codes, scale, levels, id, k, y);
    if (scheme == INT4) packed_row_of(INT4, codes, scale, levels, id, k, y);
    if (scheme == NF4) packed_row_of(NF4, codes, scale, levels, id, k, y);
    if (scheme == Q4_1) packed_row_of(Q4_1, codes, scale, levels, id, k, y);
    if (scheme == Q8_0) packed_row_of(Q8_0, codes, scale, levels, id, k, y);
}

/* What follows a product: y = act(sum + bias + beside) + residual; bias (n); the others (rows, n), of
 * which residual and y may be the same memory. act is of the output, where linear.c's is of the input; its number is
 * activation.h's. */
typedef struct {
    const float *bias, *residual;
    float *y;
    int64_t n, output_activation;
    const float *beside;
} panel_epilogue;

INLINE void panel_finish(vf sum[], const panel_epilogue *e, int64_t row, int64_t panel) {
    int64_t column = panel * PANEL, left = e->n - column;
    for (int i = 0; i < PANEL_VECTORS && left > 0; i++, column += LANES, left -= LANES) {
        int64_t count = left < LANES ? left : LANES, at = row * e->n + column;
        vf y = sum[i];
        if (e->bias) y = v_add(y, v_load_part(e->bias + column, count));
        if (e->beside) y = v_add(y, v_load_part(e->beside + at, count));
        y = v_activate((int)e->output_activation, y);
        if (e->residual) y = v_add(y, v_load_part(e->residual + at, count));
        v_store_part(e->y + at, y, count);
    }
}

enum { DOT_ROWS = 4 };

/* x times LANES rows of W, `stride` floats apart: four rows together, which share each load of x and
 * whose successors are fetched meanwhile. Beyond `rows` the first row is read instead. */
INLINE vf float_dots(const float *w, int64_t stride, int64_t rows, const float *x, int64_t k) {
    vf sum[LANES];
    for (int first = 0; first < LANES; first += DOT_ROWS) {
        const float *row[DOT_ROWS];
        vf even[DOT_ROWS], odd[DOT_ROWS]; /* vectors: eight sums, none waits for the one before */
        UNROLL for (int r = 0; r < DOT_ROWS; r++) {
            row[r] = w + (first + r < rows ? first + r : 0) * stride;
            even[r] = odd[r] = v_zero();
        }
        int64_t i = 0;
        for (; i + 2 * LANES <= k; i += 2 * LANES) {
            vf x0 = v_load(x + i), x1 = v_load(x + i + LANES);
            UNROLL for (int r = 0; r < DOT_ROWS; r++) {
                prefetch(row[r] + i + DOT_ROWS * stride);
                even[r] = v_fma(v_load(row[r] + i), x0, even[r]);
                odd[r] = v_fma(v_load(row[r] + i + LANES), x1, odd[r]);
            }
        }
        for (; i < k; i += LANES) {
            int64_t n = k - i < LANES ? k - i : LANES;
            vf some = v_load_part(x + i, n);
            UNROLL for (int r = 0; r < DOT_ROWS; r++)
                even[r] = v_fma(v_load_part(row[r] + i, n), some, even[r]);
        }
        UNROLL for (int r = 0; r < DOT_ROWS; r++) sum[first + r] = v_add(even[r], odd[r]);
    }
    v_transpose(sum);
    UNROLL for (int r = 1; r < LANES; r++) sum[0] = v_add(sum[0], sum[r]);
    return sum[0];
}

/* float32: W lies as it is, row after row. */
static void float_panel(const float *w, const float *x, int64_t batch, int64_t k, int64_t panel,
                        const panel_epilogue *e) {
    int64_t left = e->n - panel * PANEL;
    w += panel * PANEL * k;
    for (int64_t row = 0; row < batch; row++) { /* beyond the first from the cache */
        vf y[PANEL_VECTORS];
        for (int i = 0; i < PANEL_VECTORS && i * LANES < left; i++)
            y[i] = float_dots(w + i * LANES * k, k, left - i * LANES, x + row * k, k);
        panel_finish(y, e, row, panel);
    }
}

/* Bytes of a row of k numbers made ready for int8_panel: whole vectors on every instruction set. */
static inline int64_t ready_bytes(int64_t k) { return X_BYTES * round_up(k, PANEL); }

/* What the codes of a row are multiplied by: max|x| / 127, 0 for a row of nothing. */
static float row_scale(const float *x, int64_t k) {
    vf peaks = v_zero();
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES) peaks = v_max(v_abs(v_load(x + i)), peaks);
    if (i < k) peaks = v_max(v_abs(v_load_part(x + i, k - i)), peaks);
    float peak = v_reduce_max(peaks);
    return peak < 1e-30f ? 0 : peak / 127.0f;
}

/* round(x / scale) of the numbers from i on, zeros beyond k. */
INLINE vi row_codes(const float *x, int64_t i, int64_t k, vf inverse) {
    int64_t left = k - i;
    vf v = left >= LANES ? v_load(x + i) : v_load_part(x + i, left > 0 ? left : 0);
    return v_to_int(v_mul(v, inverse));
}

INLINE vf row_inverse(float scale) { return v_set1(scale == 0 ? 0 : 1 / scale); }

/* q = round(x / scale) as bytes, zeros from k to `padded`, and the sum of each INT4_GROUP of them. */
static void quantize_row_int4(const float *x, int8_t *q, float *scale, int64_t k, int64_t padded,
                              int32_t *sums) {
    *scale = row_scale(x, k);
    vf inverse = row_inverse(*scale);
    for (int64_t i = 0; i < padded; i += LANES) vi_store_bytes(q + i, row_codes(x, i, k, inverse));
    for (int64_t g = 0; g < padded / INT4_GROUP; g++) {
        int32_t sum = 0;
        for (int j = 0; j < INT4_GROUP; j++) sum += q[g * INT4_GROUP + j];
        sums[g] = sum;
    }
}

/* Likewise, made ready for int8_panel.  q: ready_bytes(k). */
static void quantize_row_int8(const float *x, int8_t *q, float *scale, int64_t k) {
    *scale = row_scale(x, k);
    vf inverse = row_inverse(*scale);
    for (int64_t i = 0; i < k; i += LANES)
        vx_store(q + X_BYTES * i, row_codes(x, i, k, inverse));
}

/* The exact integer sums of one panel: x (rows, stride) as quantize_row_int8 writes it, w the
 * panel's codes, offset its 16 corrections for an X_BIAS of 128, steps = K / 4. With one row the steps are
 * dealt to four sums in turn: an addition waits some five cycles for the one before it. */
INLINE void int8_panel(const int8_t *x, int64_t stride, const int8_t *w, const int32_t *offset,
                       int64_t steps, const int rows, vi sum[][PANEL_VECTORS]) {
    const int chains = rows == 1 ? 4 : 1;
    vi acc[4 * PANEL_ROWS][PANEL_VECTORS];
    UNROLL for (int r = 0; r < rows * chains; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
        acc[r][i] = vi_set1(0);
    int64_t step = 0;
    for (; step + chains <= steps; step += chains)
        UNROLL for (int c = 0; c < chains; c++) {
            vw weights[PANEL_VECTORS];
            fetch_ahead(w + (step + c) * 4 * PANEL, rows);
            UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
                weights[i] = vw_load(w + (step + c) * 4 * PANEL + i * 4 * LANES);
            UNROLL for (int r = 0; r < rows; r++) {
                vx four = vx_load(x + r * stride + (step + c) * 4 * X_BYTES);
                UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
                    acc[r * chains + c][i] =
                        vi_dot_signed(acc[r * chains + c][i], weights[i], four);
            }
        }
    for (; step < steps; step++) /* with several rows chains is 1 and nothing is left */
        UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
            acc[0][i] = vi_dot_signed(acc[0][i], vw_load(w + step * 4 * PANEL + i * 4 * LANES),
                                      vx_load(x + step * 4 * X_BYTES));
    const vi sign = vi_set1(X_BIAS ? -1 : 0); /* - offset, or nothing */
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
        vi total = vi_mul(vi_load(offset + i * LANES), sign);
        UNROLL for (int c = 0; c < chains; c++) total = vi_add(total, acc[r * chains + c][i]);
        sum[r][i] = total;
    }
}

/* y = s_x s_w sum: the int8 panel of a dense layer.  x: rows of ready_bytes(k); x_scale: one a row;
 * scale: (n). */
INLINE void int8_linear_panel(const int8_t *x, int64_t k, const float *x_scale,
                              const int8_t *codes, const float *scale, const int32_t *offset,
                              int64_t row, int64_t panel, const int rows,
                              const panel_epilogue *e) {
    vi sum[PANEL_ROWS][PANEL_VECTORS];
    const int64_t steps = round_up(k, 4) / 4, stride = ready_bytes(k);
    int8_panel(x + row * stride, stride, codes + panel * PANEL * 4 * steps,
               offset + panel * PANEL, steps, rows, sum);
    for (int r = 0; r < rows; r++) {
        vf y[PANEL_VECTORS];
        vf factor = v_set1(x_scale[row + r]);
        for (int i = 0; i < PANEL_VECTORS; i++) {
            int64_t left = e->n - panel * PANEL - i * LANES;
            int64_t count = left < 0 ? 0 : left < LANES ? left : LANES;
            vf s = v_mul(factor, v_load_part(scale + panel * PANEL + i * LANES, count));
            y[i] = v_mul(v_from_int(sum[r][i]), s);
        }
        panel_finish(y, e, row + r, panel);
    }
}

/* int4: groups of 32 k, their exact sums scaled and added in float.  x: (rows, stride) bytes;
 * x_sums: (rows, groups) the sum of each group of x, which takes the codes' 8 off. */
INLINE void int4_linear_panel(const int8_t *x, int64_t stride, const float *x_scale,
                              const int32_t *x_sums, const uint8_t *codes, const float *scale,
                              int64_t row, int64_t panel, const int rows,
                              const panel_epilogue *e) {
    const int64_t groups = stride / INT4_GROUP;
    const uint8_t *w = codes + panel * PANEL * stride / 2;
    const float *s = scale + panel * PANEL * groups;
    const vi low = vi_set1(0x0F0F0F0F);
    vf y[PANEL_ROWS][PANEL_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
        y[r][i] = v_zero();
    x += row * stride;
    for (int64_t g = 0; g < groups; g++, s += PANEL) {
        vn sum[PANEL_ROWS][PANEL_VECTORS];
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
            sum[r][i] = vi_set1(0);
        UNROLL for (int step = 0; step < INT4_GROUP / 8; step++, w += 4 * PANEL) {
            fetch_ahead(w, rows);
            UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
                vi pairs = vi_load(w + i * 4 * LANES);
                vi first = vi_and(pairs, low), second = vi_and(vi_shift_right(pairs, 4), low);
                UNROLL for (int r = 0; r < rows; r++) {
                    const int8_t *at = x + r * stride + g * INT4_GROUP + step * 8;
                    sum[r][i] = vn_dot(sum[r][i], first, vi_set4(at));
                    sum[r][i] = vn_dot(sum[r][i], second, vi_set4(at + 4));
                }
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            const vi eights = vi_set1(-8 * x_sums[(row + r) * groups + g]);
            UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
                vf inner = v_from_int(vi_add(vn_sum(sum[r][i]), eights));
                y[r][i] = v_fma(inner, v_load(s + i * LANES), y[r][i]);
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < PANEL_VECTORS; i++) y[r][i] = v_mul(y[r][i], v_set1(x_scale[row + r]));
        panel_finish(y[r], e, row + r, panel);
    }
}

/* NF4: codes become levels by a lookup in a register; x (rows, stride) is float, zero beyond K.
 * The j-th nibble of a 32-bit word holds k = j/2 or, from a byte's high half, 4 + j/2. */
INLINE void nf4_linear_panel(const float *x, int64_t stride, const uint8_t *codes,
                             const float *scale, const float *levels, int64_t row, int64_t panel,
                             const int rows, const panel_epilogue *e) {
    const uint8_t *w = codes + panel * PANEL * stride / 2;
    const float *s = scale + panel * PANEL * (stride / NF4_GROUP);
    vf y[PANEL_ROWS][PANEL_VECTORS], odd[PANEL_ROWS][PANEL_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
        y[r][i] = odd[r][i] = v_zero();
    x += row * stride;
    for (int64_t k = 0; k < stride; k += 8, w += 4 * PANEL) {
        if (k && k % NF4_GROUP == 0) s += PANEL;
        fetch_ahead(w, rows);
        UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
            vi word = vi_load_codes(w + i * 4 * LANES);
            vf factor = v_load(s + i * LANES);
            UNROLL for (int j = 0; j < 4; j++) {
                vf first = v_mul(v_lookup(levels, word), factor);
                vf second = v_mul(v_lookup(levels, vi_shift_right(word, 4)), factor);
                word = vi_shift_right(word, 8);
                UNROLL for (int r = 0; r < rows; r++) {
                    const float *at = x + r * stride + k + j;
                    y[r][i] = v_fma(first, v_set1(at[0]), y[r][i]);
                    odd[r][i] = v_fma(second, v_set1(at[4]), odd[r][i]);
                }
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < PANEL_VECTORS; i++) y[r][i] = v_add(y[r][i], odd[r][i]);
        panel_finish(y[r], e, row + r, panel);
    }
}
