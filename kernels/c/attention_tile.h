/* The arithmetic of attention.c: one small product, the way in and out of its layout, and 2^x.
 *
 * A column panel holds up to QUERIES rows of some (T, D) matrix, transposed: coordinate d of row i
 * is at panel[d * QUERIES + i]. One vector then carries the same coordinate of LANES queries, so
 * that what attention does to each query (a maximum, an exponential, a sum over keys) it does to
 * LANES of them at once, lane by lane, and never sums across the lanes of a vector.
 *
 * A row panel holds QUERIES consecutive coordinates of each row: row i's are at
 * panel[i * QUERIES]. Rows and coordinates that do not exist are zeros in both.
 */
#pragma once
#include "integers.h"
#include "simd_math.h"

enum {
    VECTORS = 2,                      /* side by side in a panel */
    QUERIES = VECTORS * LANES,        /* a panel's width */
    TILE_ROWS = REGISTERS == 32 ? 12 : 6, /* 24 sums, or 12 */
};

static inline vf attention_load(const float *p, int64_t n) { /* the first n lanes, any n > 0 */
    return n >= LANES ? v_load(p) : v_load_part(p, n);
}
static inline void attention_store(float *p, vf v, int64_t n) {
    if (n >= LANES)
        v_store(p, v);
    else
        v_store_part(p, v, n);
}

/* 2^x for x <= 0 (or a rounding error above), to 8e-8 relative and 2^-64 absolute; 0 below that.
 *
 * A score's exponential only matters beside the largest one of its row, which is 1, so what is
 * under 2^-64 may vanish. That is more than thrift: e^-80 times a small gradient is a denormal
 * number, on which these CPUs take a hundred cycles. (With denormal results for masked scores the
 * forward pass took 1.6 times as long at T = 256.) The way is in
 * simd_math.h; 2^r is a minimax polynomial, 1.6e-8 relative.
 *
 * Each of its twelve steps waits for the one before, some 45 cycles in all, while a CPU can start
 * several in each cycle. So `n` vectors, a constant, go through side by side. */
INLINE void attention_exp2_each(const int n, vf *x) {
    static const float terms[] = {0.00015353362f, 0.0013398875f, 0.0096184369f, 0.055503324f,
                                  0.24022648f, 0.69314718f, 1.0f};
    const vf rounder = v_set1(V_ROUNDER);
    vf shifted[VECTORS], r[VECTORS], power[VECTORS];
    UNROLL for (int i = 0; i < n; i++) {
        x[i] = v_max(v_set1(-64.0f), x[i]); /* in this order nan passes through */
        shifted[i] = v_add(x[i], rounder);
        r[i] = v_sub(x[i], v_sub(shifted[i], rounder));
        power[i] = v_set1(terms[0]);
    }
    UNROLL for (int k = 1; k < 7; k++) UNROLL for (int i = 0; i < n; i++)
        power[i] = v_fma(power[i], r[i], v_set1(terms[k]));
    UNROLL for (int i = 0; i < n; i++) {
        /* rounds away unless x was near -64 */
        x[i] = v_sub(v_times_power(power[i], shifted[i]), v_set1(0x1p-64f));
    }
}
static inline vf attention_exp2(vf x) {
    attention_exp2_each(1, &x);
    return x;
}

/* c (rows, QUERIES) = keep c + a b, with a (rows, depth) anywhere, b (depth, QUERIES) a panel.
 *
 * The sums stay in registers for the whole depth. Each step loads VECTORS vectors of b and, for
 * each row, spreads one number of a over a vector: TILE_ROWS + VECTORS loads for twice TILE_ROWS
 * multiply-adds, so that the arithmetic units and not the loads set the pace. `keep` multiplies
 * each column of what c held before; without it c starts from zero. */
static inline __attribute__((always_inline)) void
attention_tile(const int rows, int64_t depth, const float *a, int64_t a_row, int64_t a_step,
               const float *b, const vf *keep, float *c) {
    vf sum[TILE_ROWS][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            sum[r][v] = keep ? v_mul(keep[v], v_load(c + r * QUERIES + v * LANES)) : v_zero();
    _Pragma("GCC unroll 4") for (int64_t k = 0; k < depth; k++, a += a_step, b += QUERIES) {
        vf column[VECTORS];
        for (int v = 0; v < VECTORS; v++) column[v] = v_load(b + v * LANES);
        for (int r = 0; r < rows; r++) {
            vf x = v_set1(a[r * a_row]);
            for (int v = 0; v < VECTORS; v++) sum[r][v] = v_fma(x, column[v], sum[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) v_store(c + r * QUERIES + v * LANES, sum[r][v]);
}

/* `rows` is a constant in each call of attention_tile: its loops unroll, its sums are registers.
 * The last rows are dealt to two tiles of about equal height: a low tile has too few sums to keep
 * the arithmetic units busy, and takes nearly as long as a high one. */
static inline __attribute__((always_inline)) void
attention_product(int64_t rows, int64_t depth, const float *a, int64_t a_row, int64_t a_step,
                  const float *b, const vf *keep, float *c) {
    while (rows > 0) {
        int64_t height = rows >= 2 * TILE_ROWS ? TILE_ROWS
                         : rows > TILE_ROWS    ? (rows + 1) / 2
                                               : rows;
#define ATTENTION_ROWS(n)                                                                  \
    case n:                                                                                \
        if (n <= TILE_ROWS) attention_tile(n, depth, a, a_row, a_step, b, keep, c);        \
        break;
        switch (height) {
            ATTENTION_ROWS(1) ATTENTION_ROWS(2) ATTENTION_ROWS(3) ATTENTION_ROWS(4)
            ATTENTION_ROWS(5) ATTENTION_ROWS(6) ATTENTION_ROWS(7) ATTENTION_ROWS(8)
            ATTENTION_ROWS(9) ATTENTION_ROWS(10) ATTENTION_ROWS(11) ATTENTION_ROWS(12)
        }
#undef ATTENTION_ROWS
        rows -= height, a += height * a_row, c += height * QUERIES;
    }
}

/* The product in the three ways that attention reads a: by rows, row r at a + r * step; */
static __attribute__((noinline)) void
attention_by_rows(int64_t rows, int64_t depth, const float *a, int64_t step, const float *b,
                  float *c) {
    attention_product(rows, depth, a, step, 1, b, NULL, c);
}
/* by columns, column k at a + k * step; */
static __attribute__((noinline)) void
attention_by_columns(int64_t rows, int64_t depth, const float *a, int64_t step, const float *b,
                     const vf *keep, float *c) {
    attention_product(rows, depth, a, 1, step, b, keep, c);
}
/* and from a panel, so that one product's result is the next one's operand: c += a b. */
static __attribute__((noinline)) void
attention_by_panel(int64_t rows, const float *a, const float *b, float *c) {
    vf one[VECTORS];
    for (int v = 0; v < VECTORS; v++) one[v] = v_set1(1);
    attention_product(rows, QUERIES, a, QUERIES, 1, b, one, c);
}

/* `count` rows of x, `step` apart -> a column panel of factor x. */
static void attention_pack_columns(const float *x, int64_t step, int64_t count, int64_t D,
                                   float factor, float *panel) {
    vf block[LANES], f = v_set1(factor);
    for (int i = 0; i < QUERIES; i += LANES)
        for (int64_t d = 0; d < D; d += LANES) {
            for (int l = 0; l < LANES; l++)
                block[l] = i + l < count
                    ? v_mul(f, attention_load(x + (i + l) * step + d, D - d)) : v_zero();
            v_transpose(block);
            for (int l = 0; l < LANES && d + l < D; l++)
                v_store(panel + (d + l) * QUERIES + i, block[l]);
        }
}

/* A column panel, each column times its factor -> `count` rows of y. */
static void attention_unpack_columns(const float *panel, const vf *factor, int64_t count, int64_t D,
                                     float *y, int64_t step) {
    vf block[LANES];
    for (int i = 0; i < QUERIES; i += LANES)
        for (int64_t d = 0; d < D; d += LANES) {
            for (int l = 0; l < LANES; l++)
                block[l] = d + l < D
                    ? v_mul(factor[i / LANES], v_load(panel + (d + l) * QUERIES + i)) : v_zero();
            v_transpose(block);
            for (int l = 0; l < LANES && i + l < count; l++)
                attention_store(y + (i + l) * step + d, block[l], D - d);
        }
}

/* `count` rows of x -> row panels, D / QUERIES of them rounded up, each (height, QUERIES). */
static void attention_pack_rows(const float *x, int64_t step, int64_t count, int64_t height,
                                int64_t D, float *panel) {
    for (int64_t d = 0; d < D; d += QUERIES, panel += height * QUERIES)
        for (int64_t i = 0; i < height; i++)
            for (int v = 0; v < QUERIES; v += LANES)
                v_store(panel + i * QUERIES + v, i < count && d + v < D
                    ? attention_load(x + i * step + d + v, D - d - v) : v_zero());
}

/* Row panels times factor -> `count` rows of y, or added to them. */
static void attention_unpack_rows(const float *panel, int64_t height, int64_t count, int64_t D,
                                  float factor, int add, float *y, int64_t step) {
    for (int64_t d = 0; d < D; d += QUERIES, panel += height * QUERIES)
        for (int64_t i = 0; i < count; i++)
            for (int v = 0; v < QUERIES && d + v < D; v += LANES) {
                float *to = y + i * step + d + v;
                vf x = v_mul(v_set1(factor), v_load(panel + i * QUERIES + v));
                if (add) x = v_add(x, attention_load(to, D - d - v));
                attention_store(to, x, D - d - v);
            }
}
