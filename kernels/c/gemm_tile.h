/* One tile of a matrix product: MR x NR sums in registers, and what happens to them at the end.
 *
 * Point 1 of matmul.c, where the whole is explained. The sizes here serve all parts of the product.
 */
#pragma once
#include "activation.h"
#include "gemm.h"
#include "integers.h"
#include "simd.h"

enum {
    MR = REGISTERS == 32 ? 14 : 6, /* 28 sums of thirty-two registers, or 12 of sixteen */
    NV = 2,                    /* vectors across the tile */
    NR = NV * LANES,
    KC = 256,
    MC = 98 / MR * MR,
    SHARES = 8,       /* blocks that each thread should find at least */
    CHUNK = 1 << 18,  /* floats of packed b */
    WIDE = 512,       /* columns that a chunk has at least, if c has as many, before it is deeper */
    THIN = 8,         /* rows of c: so few do not repay packing b */
    NARROW = 384,     /* rows of c: so few are not shared out among threads, but the columns are */
    GROUP = 4,        /* panels of b that a thread packs for itself, in the room of a block of a */
    FEW = 8,          /* panels: so few do not repay packing a, where its rows lie along k */
    AHEAD = 8,        /* rows that packing fetches in advance: each lies in another page, where the
                       * hardware does not look ahead by itself */
    CACHE_LINE = 16,  /* floats */
    PITCH = KC + 16,  /* not a power of two: the rows of a tile lie in different cache sets */
    SIDE = (MR + LANES - 1) / LANES * LANES, /* MR in whole vectors: every store is aligned */
    TILE = SIDE * PITCH,                     /* floats set aside for a packed tile of a */
    A_BLOCK = (MC / MR + 1) * TILE,
};

static inline int64_t gemm_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t gemm_most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t gemm_ceil(int64_t n, int64_t step) { return (n + step - 1) / step; }

/* How many pieces of at most `most` make n: one at least. */
static inline int64_t gemm_pieces(int64_t n, int64_t most) {
    return n > most ? gemm_ceil(n, most) : 1;
}

/* Part i of n equal parts of [0, size) begins here: the parts' sizes differ by one at most. */
static inline int64_t gemm_part(int64_t size, int64_t i, int64_t n) { return size * i / n; }

/* Is a transposed, its rows side by side in memory? */
static inline int gemm_by_k(const gemm_problem *p) { return p->a_row == 1 && p->a_inner != 1; }

/* c = start + a b for `rows` x (vectors * LANES) elements, the last vector's `tail` columns only.
 *
 * a[row * a_row + k * a_inner]; b[k * NR + column] is packed. `rows` and `vectors` are constants
 * wherever this is called: the loops over them unroll, and `sum` is registers.
 * start: where the sums begin, NULL for zero; start_row = 0 repeats one row (a bias). */
INLINE void gemm_tile(const int rows, const int vectors, const int64_t a_row, const int64_t a_inner,
                      int64_t depth, const float *a, const float *b, const float *start,
                      int64_t start_row, float *c, int64_t c_row, int64_t tail) {
    vf sum[MR][NV];
    const int last = vectors - 1;
    UNROLL for (int i = 0; i < rows; i++) {
        prefetch_write(c + i * c_row);
        UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = v_zero();
    }
    if (start) {
        UNROLL for (int i = 0; i < rows; i++) {
            const float *from = start + i * start_row;
            UNROLL for (int j = 0; j < last; j++) sum[i][j] = v_load(from + j * LANES);
            sum[i][last] = tail == LANES ? v_load(from + last * LANES)
                                         : v_load_part(from + last * LANES, tail);
        }
    }
    for (int64_t k = 0; k < depth; k++, a += a_inner, b += NR) {
        vf column[NV];
        UNROLL for (int j = 0; j < vectors; j++) column[j] = v_load(b + j * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            vf element = v_set1(a[i * a_row]);
            UNROLL for (int j = 0; j < vectors; j++)
                sum[i][j] = v_fma(element, column[j], sum[i][j]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        float *to = c + i * c_row;
        UNROLL for (int j = 0; j < last; j++) v_store(to + j * LANES, sum[i][j]);
        if (tail == LANES)
            v_store(to + last * LANES, sum[i][last]);
        else
            v_store_part(to + last * LANES, sum[i][last], tail);
    }
}

/* The tile for each number of rows, so that the rows left over at an edge cost their share and no
 * more; for two vectors or one; for a whose rows lie along k, a_row apart, or packed by_k. */
static void gemm_any_tile(int rows, int64_t columns, int by_k, int64_t depth, const float *a,
                          int64_t a_row, const float *b, const float *start, int64_t start_row,
                          float *c, int64_t c_row) {
    int64_t tail = columns > LANES ? columns - LANES : columns;
#define GEMM_TILE(n, vectors, a_row, a_inner) \
    gemm_tile(n, vectors, a_row, a_inner, depth, a, b, start, start_row, c, c_row, tail)
#define GEMM_ROWS(n)                                         \
    case n:                                                  \
        if (n > MR) break;                                   \
        if (by_k && columns > LANES) GEMM_TILE(n, 2, 1, SIDE); \
        else if (by_k) GEMM_TILE(n, 1, 1, SIDE);             \
        else if (columns > LANES) GEMM_TILE(n, 2, a_row, 1); \
        else GEMM_TILE(n, 1, a_row, 1);                      \
        break;
    switch (rows) {
        GEMM_ROWS(1) GEMM_ROWS(2) GEMM_ROWS(3) GEMM_ROWS(4) GEMM_ROWS(5) GEMM_ROWS(6) GEMM_ROWS(7)
        GEMM_ROWS(8) GEMM_ROWS(9) GEMM_ROWS(10) GEMM_ROWS(11) GEMM_ROWS(12) GEMM_ROWS(13)
        GEMM_ROWS(14)
    }
#undef GEMM_ROWS
#undef GEMM_TILE
}

/* Bias or residual alone are where the sums began; with both, the residual is added to a tile that
 * has its full sums and is still in L1. */
static void gemm_finish(const gemm_problem *p, float *c, int64_t rows, int64_t columns) {
    if (!p->bias || !p->residual) return;
    const float *residual = p->residual + (c - p->c);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t at = i * p->c_row + j, n = gemm_least(columns - j, LANES);
            v_store_part(c + at, v_add(v_load_part(c + at, n), v_load_part(residual + at, n)), n);
        }
}

/* Where the sums of c + offset begin: at what an earlier k has left there, at the bias, at the
 * residual, or (NULL) at zero. */
static inline const float *gemm_start(const gemm_problem *p, int64_t k, int64_t offset,
                                      int64_t column, int64_t *row_step) {
    *row_step = p->c_row;
    if (k > 0) return p->c + offset;
    if (p->bias) {
        *row_step = 0;
        return p->bias + column;
    }
    return p->residual ? p->residual + offset : NULL;
}

/* Tiles down the rows [first, last) of c, for one panel of b.
 * The rows are divided evenly among as few tiles as they need: 102 rows are tiles of 13 and 12, not
 * seven of 14 and a poor one of 4. packed_a: those rows, from k on; NULL to read them where they lie
 * (a_inner = 1). */
static void gemm_panel(const gemm_problem *p, int64_t first, int64_t last, int64_t column,
                       int64_t columns, int64_t k, int64_t depth, const float *packed_a,
                       const float *b) {
    const int64_t tiles = gemm_ceil(last - first, MR);
    for (int64_t t = 0; t < tiles; t++) {
        int64_t row = first + gemm_part(last - first, t, tiles), row_step;
        int rows = (int)(first + gemm_part(last - first, t + 1, tiles) - row);
        const float *a = packed_a ? packed_a + t * TILE : p->a + row * p->a_row + k;
        float *c = p->c + row * p->c_row + column;
        const float *start = gemm_start(p, k, c - p->c, column, &row_step);
        gemm_any_tile(rows, columns, gemm_by_k(p), depth, a, packed_a ? PITCH : p->a_row, b, start,
                      row_step, c, p->c_row);
        if (k + depth == p->inner) gemm_finish(p, c, rows, columns);
    }
}
