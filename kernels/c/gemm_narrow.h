/* Products with few rows, but more than gemm_thin.h's: gemm_narrow.
 *
 * The gradient of a weight with few outputs has few rows, many columns and a long k. Cut into blocks
 * of rows there would be too little to share out; cut into columns too, each piece would pack its a
 * again. So the roles of matmul.c's loops are exchanged:
 *
 *     a, the small operand, is packed whole by all threads together, as b is in matmul.c;
 *     an item is a group of columns with all rows: whoever takes it packs its panels of b and uses
 *     them at once, from L1, and nobody else needs them.
 *
 * No element is packed twice, and the threads meet once for CHUNK floats of a. On two threads
 * (AVX2) 65 x 128 x 768 takes 0.6 of the time and 384 x 1536 x 4096 0.85 (bench/LOG.md).
 */
#pragma once
#include "gemm_pack.h"
#include "gemm_team.h"

static int gemm_is_narrow(const gemm_problem *p) {
    return p->rows <= NARROW && p->rows <= p->columns;
}

/* Packed a of one step in k, in floats. */
static int64_t gemm_narrow_room(const gemm_problem *p) { return gemm_ceil(p->rows, MR) * TILE; }

/* One thread's part in packing a for k in [inner, inner + depth): of each step a share of its k, in
 * whole vectors. */
static void gemm_narrow_pack(const gemm_problem *p, const gemm_worker *w, int64_t inner,
                             int64_t depth) {
    const int64_t steps = gemm_pieces(depth, KC);
    for (int64_t s = 0; s < steps; s++) {
        const int64_t begin = gemm_part(depth, s, steps);
        const int64_t size = gemm_part(depth, s + 1, steps) - begin;
        const int64_t vectors = gemm_ceil(size, LANES);
        const int64_t from = gemm_part(vectors, w->self, w->threads) * LANES;
        const int64_t to = gemm_least(gemm_part(vectors, w->self + 1, w->threads) * LANES, size);
        float *room = w->shared + s * gemm_narrow_room(p);
        gemm_pack_a(p, 0, p->rows, inner + begin + from, to - from,
                    room + from * (gemm_by_k(p) ? SIDE : 1));
    }
}

/* An item: columns [first, last) of c with all rows, over k in [inner, inner + depth). */
static void gemm_narrow_item(const gemm_problem *p, const gemm_worker *w, int64_t first,
                             int64_t last, int64_t inner, int64_t depth) {
    const int64_t steps = gemm_pieces(depth, KC);
    for (int64_t s = 0; s < steps; s++) {
        const int64_t k = inner + gemm_part(depth, s, steps);
        const int64_t size = inner + gemm_part(depth, s + 1, steps) - k;
        gemm_pack_b(p, p->b + k * p->b_inner + first * p->b_column, size, last - first, 0,
                    gemm_ceil(last - first, NR), w->own);
        for (int64_t column = first; column < last; column += NR)
            gemm_panel(p, 0, p->rows, column, gemm_least(last - column, NR), k, size,
                       w->shared + s * gemm_narrow_room(p), w->own + (column - first) * size);
    }
}

static void gemm_narrow(const gemm_problem *p, const gemm_worker *w) {
    const int64_t panels = gemm_ceil(p->columns, NR);
    int64_t items = gemm_ceil(panels, GROUP);
    if (w->threads > 1) items = gemm_least(panels, gemm_most(items, SHARES * w->threads));
    const int64_t chunks = gemm_pieces(p->inner, CHUNK / gemm_narrow_room(p) * KC);
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t inner = gemm_part(p->inner, chunk, chunks);
        const int64_t depth = gemm_part(p->inner, chunk + 1, chunks) - inner;
        if (chunk) gemm_meet(w); /* the chunk before is used up */
        gemm_narrow_pack(p, w, inner, depth);
        gemm_share_out(w, items);
        gemm_meet(w);
        for (int64_t item; (item = gemm_take(w)) >= 0;)
            gemm_narrow_item(p, w, gemm_part(panels, item, items) * NR,
                             gemm_least(gemm_part(panels, item + 1, items) * NR, p->columns), inner,
                             depth);
    }
}
