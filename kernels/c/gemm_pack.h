/* Packing: b and a copied into the very order in which the tile reads them.
 *
 *     packed b:  panels of NR columns, each [k][NR], padded with zeros
 *     packed a:  tiles of up to MR rows, each [row][PITCH], k along the row, or, where a is
 *                transposed and its rows lie side by side in memory, [k][SIDE]
 *
 * Why it pays: matmul.c.
 */
#pragma once
#include "gemm_tile.h"

/* The piece of one row of b, `columns` numbers, that belongs to a panel: NR numbers, zeros beyond. */
INLINE void gemm_pack_piece(const float *b, int activation, int64_t gate, int64_t columns,
                                   float *to) {
    UNROLL for (int j = 0; j < NR; j += LANES) {
        const int64_t n = clamp(columns - j, 0, LANES);
        v_store(to + j, n > 0 ? v_activate_at(activation, gate, b + j, n) : v_zero());
    }
}

/* One panel of b whose columns lie along k: squares, transposed in registers, and the rest one by
 * one. */
static void gemm_pack_columns(const float *b, int64_t b_inner, int64_t b_column, int64_t depth,
                              int64_t columns, float *to) {
    for (int64_t j = 0; j < NR; j += LANES) {
        int64_t whole = b_inner == 1 && columns - j >= LANES ? depth / LANES * LANES : 0;
        for (int64_t k = 0; k < whole; k += LANES) {
            vf square[LANES];
            UNROLL for (int i = 0; i < LANES; i++) square[i] = v_load(b + (j + i) * b_column + k);
            v_transpose(square);
            UNROLL for (int i = 0; i < LANES; i++) v_store(to + (k + i) * NR + j, square[i]);
        }
        for (int64_t k = whole; k < depth; k++)
            for (int64_t i = j; i < j + LANES; i++)
                to[k * NR + i] = i < columns ? b[k * b_inner + i * b_column] : 0;
    }
}

/* The rows of b that lie as they are read, across all these panels, so that memory is taken in its own
 * order. */
INLINE void gemm_pack_across(const gemm_problem *p, int activation, int64_t gate, const float *b,
                             int64_t depth, int64_t columns, int64_t panel, int64_t end, float *to) {
    for (int64_t k = 0; k < depth; k++, b += p->b_inner)
        for (int64_t at = panel * NR; at < end * NR; at += NR) {
            prefetch(b + at + AHEAD * p->b_inner);
            gemm_pack_piece(b + at, activation, gate, columns - at, to + at * depth + k * NR);
        }
}

/* Panels [panel, end) of act(b), depth x columns: each [k][NR], padded with zeros. */
static void gemm_pack_b(const gemm_problem *p, const float *b, int64_t depth, int64_t columns,
                        int64_t panel, int64_t end, float *packed) {
    if (p->b_column == 1) {
#define ACROSS(kind, gate) gemm_pack_across(p, kind, gate, b, depth, columns, panel, end, packed)
        WITH_ACTIVATION(p->b_activation, p->b_gate, ACROSS);
#undef ACROSS
        return;
    }
    for (int64_t at = panel * NR; at < end * NR; at += NR)
        gemm_pack_columns(b + at * p->b_column, p->b_inner, p->b_column, depth,
                          gemm_least(columns - at, NR), packed + at * depth);
}

/* One tile of act(a) whose rows lie along k (or, not activated, have any strides): [row][PITCH]. A
 * row's last vector may reach into the end of its pitch, which no tile reads. */
INLINE void gemm_pack_rows(const float *a, int activation, int64_t gate, int64_t a_row,
                           int64_t a_inner, int64_t rows, int64_t depth, float *to) {
    for (int64_t i = 0; i < rows; i++, a += a_row, to += PITCH)
        if (a_inner == 1)
            for (int64_t k = 0; k < depth; k += LANES) {
                if (k % CACHE_LINE == 0) prefetch(a + k + AHEAD * a_row);
                v_store(to + k, v_activate_at(activation, gate, a + k, depth - k));
            }
        else
            for (int64_t k = 0; k < depth; k++) to[k] = a[k * a_inner];
}

/* A block of transposed a. The rows of all its tiles lie side by side in memory: each k is read once,
 * from one end to the other, and dealt to the tiles, [k][SIDE]. Of SIDE numbers a tile uses its rows;
 * nothing is read beyond a's last row. */
static void gemm_pack_by_k(const gemm_problem *p, int64_t first, int64_t last, const float *a,
                           int64_t depth, float *to) {
    const int64_t tiles = gemm_ceil(last - first, MR);
    int64_t begin[NARROW / MR + 2], whole = 0; /* NARROW > MC: no block has more tiles */
    for (int64_t t = 0; t < tiles; t++) {
        begin[t] = first + gemm_part(last - first, t, tiles);
        whole += begin[t] + SIDE <= p->rows;
    }
    for (int64_t i = 0; i < depth; i++, a += p->a_inner, to += SIDE) {
        for (int64_t r = first; r < last; r += CACHE_LINE) prefetch(a + r + AHEAD * p->a_inner);
        for (int64_t t = 0; t < whole; t++)
            UNROLL for (int r = 0; r < SIDE; r += LANES)
                v_store(to + t * TILE + r, v_load(a + begin[t] + r));
        for (int64_t t = whole; t < tiles; t++)
            UNROLL for (int r = 0; r < SIDE; r += LANES) {
                int64_t n = clamp(p->rows - begin[t] - r, 0, LANES);
                v_store(to + t * TILE + r, v_load_part(a + begin[t] + r, n));
            }
    }
}

/* Rows [first, last) of act(a), k in [k, k + depth): a block, tile after tile. */
static void gemm_pack_a(const gemm_problem *p, int64_t first, int64_t last, int64_t k,
                        int64_t depth, float *to) {
    const float *a = p->a + k * p->a_inner;
    if (gemm_by_k(p)) {
        gemm_pack_by_k(p, first, last, a, depth, to);
        return;
    }
    const int64_t tiles = gemm_ceil(last - first, MR);
    for (int64_t t = 0; t < tiles; t++) {
        int64_t row = first + gemm_part(last - first, t, tiles);
        int64_t rows = first + gemm_part(last - first, t + 1, tiles) - row;
        const float *from = a + row * p->a_row;
#define ROWS(kind, gate) \
    gemm_pack_rows(from, kind, gate, p->a_row, p->a_inner, rows, depth, to + t * TILE)
        WITH_ACTIVATION(p->a_activation, p->a_gate, ROWS);
#undef ROWS
    }
}
