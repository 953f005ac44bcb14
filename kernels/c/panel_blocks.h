/* A panel of weights in blocks of 32, as files of others hold them: q4_1 and q8_0 of
 * kernels/packing.py. What they mean: numpy_ref/matmul_q4_1.py, numpy_ref/matmul_q8_0.py.
 *
 * x is rounded in blocks of 32, each with its own scale; the sum of a block's integers serves all
 * outputs. A scale or minimum is 16 bits in memory and widened when it is used: an eighth of what is
 * read would otherwise be a fifth.
 *
 * Who calls: matmul_q4_1.c, matmul_q8_0.c, decode.c.
 */
#pragma once
#include "panel.h"

/* A block of a row of x: what its integers are multiplied by, and their sum, an integer. */
typedef struct {
    float scale, sum;
} x_block;

static inline int64_t block_count(int64_t k) { return round_up(k, X_BLOCK) / X_BLOCK; }

/* Bytes of a block's codes: q8_0's are made ready for vu_dot. */
static inline int64_t x_block_bytes(int64_t scheme) {
    return scheme == Q8_0 ? X_BYTES * X_BLOCK : X_BLOCK;
}

/* q = round(x / scale) as bytes, in blocks; zeros from k to the end of the last. */
static void quantize_row_blocks(int64_t scheme, const float *x, int8_t *q, x_block *block,
                                int64_t k) {
    const int64_t bytes = x_block_bytes(scheme);
    for (; k > 0; k -= X_BLOCK, x += X_BLOCK, q += bytes, block++) {
        const int64_t n = k < X_BLOCK ? k : X_BLOCK;
        block->scale = row_scale(x, n);
        const vf inverse = row_inverse(block->scale);
        vf sum = v_zero(); /* of integers below 2^12: exact */
        UNROLL for (int i = 0; i < X_BLOCK; i += LANES) {
            vi codes = row_codes(x, i, n, inverse);
            if (scheme == Q8_0)
                vu_store(q + X_BYTES * i, codes);
            else
                vi_store_bytes(q + i, codes);
            sum = v_add(sum, v_from_int(codes));
        }
        block->sum = v_reduce_add(sum);
    }
}

/* Vectors of a panel that go through a row of x together. For one row all, for memory sets the pace; for
 * several one after the other: two vectors' weights, sums and totals are more than AVX2's registers,
 * and sums that went to the stack made q8_0 half as fast as int8 (bench/LOG.md). */
INLINE int vectors_at_once(const int rows) { return rows == 1 ? PANEL_VECTORS : 1; }

/* y (rows) = a panel of q4_1 times x.  q: (., groups 32) bytes, block: (., groups), both from the
 * first row on; scale: the panels' steps and minima. */
INLINE void q4_1_linear_panel(const int8_t *q, const x_block *block, int64_t k,
                              const uint8_t *codes, const uint16_t *scale, int64_t row,
                              int64_t panel, const int rows, const panel_epilogue *e) {
    const int64_t groups = block_count(k), stride = groups * X_BLOCK;
    const uint8_t *w = codes + panel * PANEL * stride / 2;
    const uint16_t *s = scale + panel * groups * 2 * PANEL;
    const vi low = vi_set1(0x0F0F0F0F);
    vf y[PANEL_ROWS][PANEL_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
        y[r][i] = v_zero();
    q += row * stride;
    block += row * groups;
    for (int64_t g = 0; g < groups; g++, s += 2 * PANEL, q += X_BLOCK) {
        vn sum[PANEL_ROWS][PANEL_VECTORS];
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < PANEL_VECTORS; i++)
            sum[r][i] = vi_set1(0);
        for (int step = 0; step < X_BLOCK / 8; step++, w += 4 * PANEL) {
            vi first[PANEL_VECTORS], second[PANEL_VECTORS];
            fetch_ahead(w, rows);
            UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
                vi pairs = vi_load(w + i * 4 * LANES);
                first[i] = vi_and(pairs, low);
                second[i] = vi_and(vi_shift_right(pairs, 4), low);
            }
            UNROLL for (int r = 0; r < rows; r++) {
                vi x0 = vi_set4(q + r * stride + step * 8), x1 = vi_set4(q + r * stride + step * 8 + 4);
                UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
                    sum[r][i] = vn_dot(sum[r][i], first[i], x0);
                    sum[r][i] = vn_dot(sum[r][i], second[i], x1);
                }
            }
        }
        UNROLL for (int i = 0; i < PANEL_VECTORS; i++) {
            vf step = v_load_half(s + i * LANES), minimum = v_load_half(s + PANEL + i * LANES);
            UNROLL for (int r = 0; r < rows; r++) {
                const x_block *b = block + r * groups + g;
                vf inner = v_mul(minimum, v_set1(b->sum));
                inner = v_fma(v_from_int(vn_sum(sum[r][i])), step, inner);
                y[r][i] = v_fma(inner, v_set1(b->scale), y[r][i]);
            }
        }
    }
    for (int r = 0; r < rows; r++) panel_finish(y[r], e, row + r, panel);
}

/* Likewise of q8_0, whose codes are 128 too large. */
INLINE void q8_0_linear_panel(const int8_t *q, const x_block *block, int64_t k,
                              const uint8_t *codes, const uint16_t *scale, int64_t row,
                              int64_t panel, const int rows, const panel_epilogue *e) {
    const int64_t groups = block_count(k), bytes = x_block_bytes(Q8_0), stride = groups * bytes;
    const int wide = vectors_at_once(rows);
    vf y[PANEL_ROWS][PANEL_VECTORS];
    block += row * groups;
    for (int first = 0; first < PANEL_VECTORS; first += wide) {
        const int8_t *x = q + row * stride;
        const uint8_t *w = codes + panel * PANEL * groups * X_BLOCK + first * 4 * LANES;
        const uint16_t *s = scale + panel * groups * PANEL + first * LANES;
        vf total[PANEL_ROWS][PANEL_VECTORS];
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < wide; i++)
            total[r][i] = v_zero();
        for (int64_t g = 0; g < groups; g++, s += PANEL, x += bytes) {
            vi sum[PANEL_ROWS][PANEL_VECTORS];
            UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < wide; i++)
                sum[r][i] = vi_set1(0);
            for (int step = 0; step < X_BLOCK / 4; step++, w += 4 * PANEL) {
                fetch_ahead(w, rows);
                UNROLL for (int i = 0; i < wide; i++) {
                    const vw weights = vu_load(w + i * 4 * LANES);
                    UNROLL for (int r = 0; r < rows; r++)
                        sum[r][i] = vu_dot(sum[r][i], weights,
                                           vx_load(x + r * stride + step * 4 * X_BYTES));
                }
            }
            UNROLL for (int i = 0; i < wide; i++) {
                vf factor = v_load_half(s + i * LANES);
                UNROLL for (int r = 0; r < rows; r++) {
                    const x_block *b = block + r * groups + g;
                    vf inner = v_from_int(sum[r][i]);
                    if (X_BIAS) inner = v_sub(inner, v_set1(X_BIAS * b->sum));
                    total[r][i] = v_fma(inner, v_mul(factor, v_set1(b->scale)), total[r][i]);
                }
            }
        }
        for (int r = 0; r < rows; r++)
            UNROLL for (int i = 0; i < wide; i++) y[r][first + i] = total[r][i];
    }
    for (int r = 0; r < rows; r++) panel_finish(y[r], e, row + r, panel);
}
