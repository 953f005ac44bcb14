/* Products of two symmetric matrices whose product is symmetric, and of a matrix with its transpose.
 *
 *     c = a^T b        a, b: depth x m;  c: m x m, known to be symmetric
 *
 * Where that holds: a = b, the Gram matrix; and a, b two polynomials of one symmetric matrix, which
 * commute: (a b)^T = b a = a b. Such a product needs only its upper triangle, and with blocks of
 * NR x NR of n x n blocks only n (n + 1) / 2: of 128 x 128 on AVX2 0.56, of 384 x 384 0.52.
 *
 * Layout. All matrices are panels, as gemm_pack_b makes them: panel j holds columns
 * [j NR, (j + 1) NR), each row k NR numbers beside each other, depth rows. The sizes of c are rounded
 * up to whole blocks, and beyond m there are zeros: no edges anywhere. Three things follow:
 *
 *     packing       is never needed again: what a product leaves is what the next one reads,
 *                   as either operand: row i of a^T is column i of a, [k][i] of its panel
 *     a block       of c, rows [i NR, (i + 1) NR) of panel j, is NR^2 floats in one piece
 *     the mirror    is that piece, transposed in registers while it is still in L1, put down as
 *                   block (j, i)
 *
 * A block on the diagonal is computed whole, and its lower half too is overwritten by the upper. It
 * has to be: a is read as a^T, so that a c which is symmetric only but for rounding would be another
 * matrix for the next product, and over the rounds of muon.c such differences grow tenfold and more
 * (largest error of U V^T against float64, 128 x 128: 1.1e-4; with exact symmetry 8e-6, as of a b).
 *
 * The tile is gemm_tile.h's. A block is SYMMETRIC_TILES of them, whose rows are as equal as they can
 * be: 6, 5 and 5 rows of 16 with AVX2 (10 sums at least, 8 hide the multiply-add's latency).
 *
 * One thread: the matrices are small, there are many, and each stays in its thread's L2.
 */
#pragma once
#include "gemm_pack.h"

enum { SYMMETRIC_TILES = (NR + MR - 1) / MR };

typedef struct {
    int64_t panels, depth; /* of c: panels x panels blocks; of a and b: rows */
    const float *a, *b;
    float *c;                  /* neither a nor b */
    const float *add;          /* NULL: c = a^T b.  Else c = factor a^T b + add_factor add + shift I, */
    float factor, add_factor, shift; /* add laid out as c, symmetric, not c */
} symmetric_problem;

/* Floats in a matrix of `panels` x `panels` blocks. */
static inline int64_t symmetric_size(int64_t panels) { return panels * panels * NR * NR; }

/* The block of c with row block i in panel j; those of a panel lie one below the other. */
static inline int64_t symmetric_block(int64_t panels, int64_t i, int64_t j) {
    return (j * panels + i) * NR * NR;
}

/* Tile t of the sum over k in [0, depth) into one block, which begins at zero or, if `more`, at what
 * it holds. */
INLINE void symmetric_tile(const int t, int64_t depth, const float *a, const float *b, float *c,
                           int more) {
    if (t >= SYMMETRIC_TILES) return;
    const int row = NR * t / SYMMETRIC_TILES, rows = NR * (t + 1) / SYMMETRIC_TILES - row;
    float *to = c + row * NR;
    gemm_tile(rows, NV, 1, NR, depth, a + row, b, more ? to : NULL, NR, to, NR, LANES);
}

static void symmetric_sum(int64_t depth, const float *a, const float *b, float *c, int more) {
    symmetric_tile(0, depth, a, b, c, more);
    symmetric_tile(1, depth, a, b, c, more);
    symmetric_tile(2, depth, a, b, c, more);
}

/* A block with its sum becomes factor sum + add_factor add. */
static void symmetric_add(const symmetric_problem *p, float *c, const float *add) {
    const vf factor = v_set1(p->factor), add_factor = v_set1(p->add_factor);
    for (int i = 0; i < NR * NR; i += LANES)
        v_store(c + i, v_fma(factor, v_load(c + i), v_mul(add_factor, v_load(add + i))));
}

/* to = from^T, both blocks; to = from: its lower half becomes the mirror of the upper. */
static void symmetric_mirror(const float *from, float *to) {
    const int diagonal = from == to;
    for (int i = 0; i < NR; i += LANES)
        for (int j = diagonal ? i : 0; j < NR; j += LANES) {
            vf square[LANES];
            UNROLL for (int r = 0; r < LANES; r++) square[r] = v_load(from + (i + r) * NR + j);
            v_transpose(square);
            for (int r = 0; r < LANES; r++) {
                float *row = to + (j + r) * NR + i;
                const vm below = v_first(diagonal && i == j ? r : LANES);
                v_store(row, v_select(below, square[r], v_load(row)));
            }
        }
}

static void symmetric_product(const symmetric_problem *p) {
    const int64_t n = p->panels, steps = gemm_pieces(p->depth, KC);
    for (int64_t s = 0; s < steps; s++) {
        const int64_t k = gemm_part(p->depth, s, steps);
        const int64_t depth = gemm_part(p->depth, s + 1, steps) - k;
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i <= j; i++) {
                float *c = p->c + symmetric_block(n, i, j);
                const float *a = p->a + (i * p->depth + k) * NR, *b = p->b + (j * p->depth + k) * NR;
                symmetric_sum(depth, a, b, c, s > 0);
                if (s + 1 < steps) continue;
                if (p->add) symmetric_add(p, c, p->add + symmetric_block(n, i, j));
                if (p->add && i == j)
                    for (int r = 0; r < NR; r++) c[r * NR + r] += p->shift;
                symmetric_mirror(c, p->c + symmetric_block(n, j, i));
            }
    }
}
