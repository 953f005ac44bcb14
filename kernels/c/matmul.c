/* How a matrix product reaches the speed of the arithmetic units.
 *
 *     c[m][n] = sum_k a[m][k] b[k][n]        M N K multiplications, only M K + K N numbers to read
 *
 * A core with AVX-512 can start two fused multiply-adds of 16 floats in each cycle, but bring in two
 * vectors a cycle from its first-level cache (L1), about one from L2, and one every five or ten from
 * memory. The textbook's three loops load two numbers for each multiplication. All that follows
 * serves one end: to use a number many times at each level before it is dropped.
 *
 * 1. Registers: the tile.  MR x NR elements of c stay in registers while k runs. A step in k loads
 *    one row of b's tile (two vectors) and MR single elements of a, each copied to all lanes, and
 *    does 2 MR multiply-adds. With AVX-512 the tile is 14 x 32: 28 of the 32 registers hold sums, 16
 *    loads feed 28 multiply-adds, 8 cycles of loading hide behind 14 of arithmetic. And 28 sums that
 *    do not depend on each other hide that one multiply-add takes four cycles to finish.
 *
 * 2. L1: the panel of b.  k runs over KC values only. Then the panel of b that a tile needs, KC x NR
 *    floats = 32 KB (16 KB with AVX2), fits an L1 of 48 (32) KB, and tile after tile down the rows
 *    of c reuses it; the KC x MR floats of a stream past it. A larger KC would save passes over c,
 *    each of which begins with reading and ends with writing it.
 *
 * 3. L2: the block of a.  MC x KC floats of a (100 KB) are used again for each panel of b, and stay
 *    in L2. A block is also the unit of work that a thread takes.
 *
 * 4. L2 and L3: the chunk of b.  CHUNK floats (1 MB) of b are packed at a time, by all threads
 *    together, and then read by all. Deep and narrow rather than wide and shallow: a chunk that ends
 *    along k costs a pass over all of c, one that ends along the columns packs a once more.
 *
 * Packing copies b and a into the very order in which the tile will read them. Then every read is of
 * the next address: the hardware fetches ahead, no cache set is overused by a stride that is a power
 * of two, one page follows the other. The copy is K N + M K moves against M N K multiplications, and
 * it is where transposition disappears: a transposed operand is read along its other stride.
 *
 *     packed b:  panels of NR columns, each [k][NR], padded with zeros
 *     packed a:  tiles of up to MR rows, each [row][PITCH], k along the row, or, where a is
 *                transposed and its rows lie side by side in memory, [k][SIDE]
 *
 * The five loops, from the outside: columns of c in chunks, k in chunks (gemm_run); blocks of rows,
 * shared among the threads (gemm_run_chunk); k by KC and panels of b (gemm_block); tiles down the
 * block (gemm_panel). The threads meet only when a chunk of b is packed and when it is used up, and
 * none ever adds to another's sums: an element of c is summed in the order of k, whoever does it.
 *
 * What surrounds the product costs no pass over memory: bias and residual are where the sums start
 * instead of at zero, the activation is applied to a tile that was just written and is still in L1.
 *
 * Products with few rows (one token at a time) use each element of b once or twice and cannot be
 * faster than memory. They read b where it lies: gemm_thin.
 *
 * Source: Goto and van de Geijn 2008; the five loops and the names as in BLIS, Van Zee and van de
 * Geijn 2015. Measurements behind the constants: bench/LOG.md.
 */
#include "gemm.h"
#include "gelu.h"
#include "kernels.h"
#include "parallel.h"

enum {
    MR = LANES == 16 ? 14 : 6, /* 28 sums of thirty-two registers, or 12 of sixteen */
    NV = 2,                    /* vectors across the tile */
    NR = NV * LANES,
    KC = 256,
    MC = 98 / MR * MR,
    SHARES = 8,        /* blocks that each thread should find at least */
    CHUNK = 1 << 18,  /* floats of packed b */
    WIDE = 512,       /* columns that a chunk has at least, if c has as many, before it is deeper */
    THIN = 8,         /* rows of c: so few do not repay packing b */
    AHEAD = 8,        /* rows that packing fetches in advance: each lies in another page, where the
                       * hardware does not look ahead by itself */
    CACHE_LINE = 16,  /* floats */
    PITCH = KC + 16,  /* not a power of two: the rows of a tile lie in different cache sets */
    SIDE = (MR + LANES - 1) / LANES * LANES, /* MR in whole vectors: every store is aligned */
    TILE = SIDE * PITCH,                     /* floats set aside for a packed tile of a */
    A_BLOCK = (MC / MR + 1) * TILE,
};

int64_t gemm_scratch(int64_t threads) { return CHUNK + threads * A_BLOCK + 16; }

static inline int64_t gemm_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t gemm_clamp(int64_t n, int64_t low, int64_t high) {
    return n < low ? low : n > high ? high : n;
}
static inline int64_t gemm_ceil(int64_t n, int64_t step) { return (n + step - 1) / step; }

/* ---- The tile ------------------------------------------------------------------------------- */

/* c = start + a b for `rows` x (vectors * LANES) elements, the last vector's `tail` columns only.
 *
 * a[row * a_row + k * a_inner], b[k * NR + column] are packed. `rows`, `vectors` and a's
 * strides are constants wherever this is called: the loops over them unroll, and `sum` is registers.
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
 * more; for two vectors or one; for either layout of packed a. */
static void gemm_any_tile(int rows, int64_t columns, int by_k, int64_t depth, const float *a,
                          const float *b, const float *start, int64_t start_row, float *c,
                          int64_t c_row) {
    int64_t tail = columns > LANES ? columns - LANES : columns;
#define GEMM_TILE(n, vectors, a_row, a_inner) \
    gemm_tile(n, vectors, a_row, a_inner, depth, a, b, start, start_row, c, c_row, tail)
#define GEMM_ROWS(n)                                          \
    case n:                                                   \
        if (n > MR) break;                                    \
        if (by_k && columns > LANES) GEMM_TILE(n, 2, 1, SIDE);   \
        else if (by_k) GEMM_TILE(n, 1, 1, SIDE);                 \
        else if (columns > LANES) GEMM_TILE(n, 2, PITCH, 1);  \
        else GEMM_TILE(n, 1, PITCH, 1);                       \
        break;
    switch (rows) {
        GEMM_ROWS(1) GEMM_ROWS(2) GEMM_ROWS(3) GEMM_ROWS(4) GEMM_ROWS(5) GEMM_ROWS(6) GEMM_ROWS(7)
        GEMM_ROWS(8) GEMM_ROWS(9) GEMM_ROWS(10) GEMM_ROWS(11) GEMM_ROWS(12) GEMM_ROWS(13)
        GEMM_ROWS(14)
    }
#undef GEMM_ROWS
#undef GEMM_TILE
}

/* c = act(c) + residual, and act's derivative, for a tile that has its full sums. */
static void gemm_finish(const gemm_problem *p, float *c, int64_t rows, int64_t columns) {
    float *dact = p->dact ? p->dact + (c - p->c) : NULL;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t at = i * p->c_row + j, n = gemm_least(columns - j, LANES);
            vf y = v_load_part(c + at, n), slope = v_zero();
            if (p->activation == 1) {
                y = v_gelu_with_derivative(y, &slope);
            } else if (p->activation == 2) {
                vf positive = v_max(y, v_zero());
                y = v_mul(positive, positive);
                slope = v_add(positive, positive);
            }
            if (p->residual) y = v_add(y, v_load_part(p->residual + (c - p->c) + at, n));
            v_store_part(c + at, y, n);
            if (dact) v_store_part(dact + at, slope, n);
        }
}

/* ---- Packing -------------------------------------------------------------------------------- */

/* One panel of b: `depth` x `columns` (at most NR) -> [k][NR], zero-padded. */
static void gemm_pack_b(const float *b, int64_t b_inner, int64_t b_column, int64_t depth,
                        int64_t columns, float *to) {
    if (b_column == 1) { /* rows of b as they are */
        for (int64_t k = 0; k < depth; k++, b += b_inner, to += NR)
            for (int64_t j = 0; j < NR; j += LANES) {
                int64_t n = columns - j;
                prefetch(b + j + AHEAD * b_inner);
                v_store(to + j, n >= LANES ? v_load(b + j) : n > 0 ? v_load_part(b + j, n) : v_zero());
            }
        return;
    }
    for (int64_t j = 0; j < NR; j += LANES) {
        int64_t whole = b_inner == 1 && columns - j >= LANES ? depth / LANES * LANES : 0;
        for (int64_t k = 0; k < whole; k += LANES) { /* squares, transposed in registers */
            vf square[LANES];
            UNROLL for (int i = 0; i < LANES; i++) square[i] = v_load(b + (j + i) * b_column + k);
            v_transpose(square);
            UNROLL for (int i = 0; i < LANES; i++) v_store(to + (k + i) * NR + j, square[i]);
        }
        for (int64_t k = whole; k < depth; k++) /* the rest, one by one */
            for (int64_t i = j; i < j + LANES; i++)
                to[k * NR + i] = i < columns ? b[k * b_inner + i * b_column] : 0;
    }
}

/* One tile of a whose rows lie along k (or have any strides): [row][PITCH], times `factor` if there
 * is one. */
static void gemm_pack_rows(const float *a, const float *factor, int64_t a_row, int64_t a_inner,
                           int64_t rows, int64_t depth, float *to) {
    for (int64_t i = 0; i < rows; i++, to += PITCH) {
        int64_t k = 0, at = i * a_row;
        if (a_inner == 1)
            for (; k + LANES <= depth; k += LANES) {
                vf v = v_load(a + at + k);
                v_store(to + k, factor ? v_mul(v, v_load(factor + at + k)) : v);
            }
        for (; k < depth; k++)
            to[k] = a[at + k * a_inner] * (factor ? factor[at + k * a_inner] : 1);
    }
}

/* ---- The loops ------------------------------------------------------------------------------ */

typedef struct { /* a chunk of b: columns [column, column + columns), k in [inner, inner + depth) */
    int64_t column, columns, inner, depth;
} gemm_chunk;

/* Part i of n equal parts of [0, size) begins here: the parts' sizes differ by one at most. */
static inline int64_t gemm_part(int64_t size, int64_t i, int64_t n) { return size * i / n; }

/* Whether something is left to do when the sums are complete. Bias or residual alone, without an
 * activation, are where the sums began. */
static inline int gemm_needs_finish(const gemm_problem *p) {
    return p->activation || (p->bias && p->residual);
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
    return p->residual && !p->activation ? p->residual + offset : NULL;
}

/* Tiles down the rows [first, last) of c, for one panel of b.
 * The rows are divided evenly among as few tiles as they need: 102 rows are tiles of 13 and 12, not
 * seven of 14 and a poor one of 4. */
static void gemm_panel(const gemm_problem *p, int64_t first, int64_t last, int64_t column,
                       int64_t columns, int64_t k, int64_t depth, const float *a, const float *b) {
    const int by_k = p->a_row == 1 && p->a_inner != 1;
    const int64_t tiles = gemm_ceil(last - first, MR);
    for (int64_t t = 0; t < tiles; t++, a += TILE) {
        int64_t row = first + gemm_part(last - first, t, tiles), row_step;
        int rows = (int)(first + gemm_part(last - first, t + 1, tiles) - row);
        float *c = p->c + row * p->c_row + column;
        const float *start = gemm_start(p, k, c - p->c, column, &row_step);
        gemm_any_tile(rows, columns, by_k, depth, a, b, start, row_step, c, p->c_row);
        if (k + depth == p->inner && gemm_needs_finish(p)) gemm_finish(p, c, rows, columns);
    }
}

/* One k of a tile of transposed a: SIDE numbers, of which the tile uses its rows; what lies beyond
 * a's last row (`left` from here) is not read. */
static inline void gemm_pack_side(const float *a, const float *factor, int64_t left, float *to) {
    UNROLL for (int r = 0; r < SIDE; r += LANES) {
        int64_t n = left >= SIDE ? LANES : gemm_clamp(left - r, 0, LANES);
        vf v = v_load_part(a + r, n);
        v_store(to + r, factor ? v_mul(v, v_load_part(factor + r, n)) : v);
    }
}

/* A block of a, tile after tile. With a transposed, the rows of all its tiles lie side by side: each
 * k is read once, from one end to the other, and dealt to the tiles: [k][SIDE]. */
static void gemm_pack_a(const gemm_problem *p, int64_t first, int64_t last, int64_t k,
                        int64_t depth, float *to) {
    const int by_k = p->a_row == 1 && p->a_inner != 1;
    const int64_t tiles = gemm_ceil(last - first, MR);
    const float *a = p->a + k * p->a_inner;
    const float *factor = p->a_factor ? p->a_factor + k * p->a_inner : NULL;
    if (!by_k) {
        for (int64_t t = 0; t < tiles; t++) {
            int64_t row = first + gemm_part(last - first, t, tiles);
            int64_t rows = first + gemm_part(last - first, t + 1, tiles) - row, at = row * p->a_row;
            gemm_pack_rows(a + at, factor ? factor + at : NULL, p->a_row, p->a_inner, rows, depth,
                           to + t * TILE);
        }
        return;
    }
    int64_t begin[MC / MR + 2];
    for (int64_t t = 0; t <= tiles; t++) begin[t] = first + gemm_part(last - first, t, tiles);
    for (int64_t i = 0; i < depth; i++, a += p->a_inner, factor += factor ? p->a_inner : 0) {
        for (int64_t r = first; r < last; r += CACHE_LINE) {
            prefetch(a + r + AHEAD * p->a_inner);
            if (factor) prefetch(factor + r + AHEAD * p->a_inner);
        }
        for (int64_t t = 0; t < tiles; t++)
            gemm_pack_side(a + begin[t], factor ? factor + begin[t] : NULL, p->rows - begin[t],
                           to + t * TILE + i * SIDE);
    }
}

/* Rows [first, last) of c and panels [panel, panel_end) of one packed chunk of b. */
static void gemm_block(const gemm_problem *p, const gemm_chunk *chunk, int64_t first, int64_t last,
                       int64_t panel, int64_t panel_end, const float *packed_b, float *packed_a) {
    const int64_t steps = chunk->depth > KC ? gemm_ceil(chunk->depth, KC) : 1;
    for (int64_t s = 0; s < steps; s++) {
        const int64_t begin = gemm_part(chunk->depth, s, steps);
        const int64_t depth = gemm_part(chunk->depth, s + 1, steps) - begin;
        const int64_t k = chunk->inner + begin;
        gemm_pack_a(p, first, last, k, depth, packed_a);
        for (int64_t j = panel; j < panel_end; j++) {
            const float *b = packed_b + (j * chunk->depth + begin) * NR;
            const int64_t column = j * NR;
            gemm_panel(p, first, last, chunk->column + column,
                       gemm_least(chunk->columns - column, NR), k, depth, packed_a, b);
        }
    }
}

typedef struct { /* what the threads of one product share */
    int threads;
    float *packed_b, *packed_a;
    struct { /* the items that a thread has still to begin; a cache line each */
        int64_t next, end, unused[6];
    } queue[MOST_THREADS];
} gemm_team;

/* The next item: of one's own share, then of whoever is behind; -1 when all are taken. Cores are not
 * equally fast: another program may be on one, or on its hyperthread, and many laptops have two
 * kinds of them. Who computes an item does not change what it computes. */
static int64_t gemm_take(gemm_team *team, int self) {
    for (int i = 0; i < team->threads; i++) {
        int other = (self + i) % team->threads;
        int64_t item = __atomic_fetch_add(&team->queue[other].next, 1, __ATOMIC_RELAXED);
        if (item < team->queue[other].end) return item;
    }
    return -1;
}

static void gemm_meet(const gemm_team *team) {
    if (team->threads > 1) barrier();
}

/* One thread's part in one chunk: pack a share of b, meet, take blocks of rows. */
static void gemm_run_chunk(const gemm_problem *p, const gemm_chunk *chunk, gemm_team *team,
                           int self) {
    const int threads = team->threads;
    const int64_t panels = gemm_ceil(chunk->columns, NR);
    const int64_t last_panel = gemm_part(panels, self + 1, threads);
    for (int64_t j = gemm_part(panels, self, threads); j < last_panel; j++) {
        const int64_t column = j * NR;
        gemm_pack_b(p->b + chunk->inner * p->b_inner + (chunk->column + column) * p->b_column,
                    p->b_inner, p->b_column, chunk->depth,
                    gemm_least(chunk->columns - column, NR),
                    team->packed_b + column * chunk->depth);
    }
    /* SHARES blocks for each thread, so that there is something to take over from a slow one; with
     * too few rows for that, the columns are shared too and each item packs its own a. */
    int64_t blocks = gemm_ceil(p->rows, MC), groups = 1;
    if (threads > 1) {
        const int64_t most = gemm_ceil(p->rows, 2 * MR), wanted = SHARES * threads;
        if (blocks < wanted) blocks = gemm_least(wanted, most);
        if (blocks < wanted) groups = gemm_least(gemm_ceil(wanted, blocks), panels);
    }
    const int64_t items = blocks * groups;
    team->queue[self].next = gemm_part(items, self, threads);
    team->queue[self].end = gemm_part(items, self + 1, threads);
    gemm_meet(team);
    for (int64_t item; (item = gemm_take(team, self)) >= 0;) {
        const int64_t block = item / groups, group = item % groups;
        gemm_block(p, chunk, gemm_part(p->rows, block, blocks),
                   gemm_part(p->rows, block + 1, blocks),
                   gemm_part(panels, group, groups), gemm_part(panels, group + 1, groups),
                   team->packed_b, team->packed_a + self * A_BLOCK);
    }
}

/* Chunk after chunk: columns outside, k inside, so that one group of c's columns is finished after
 * the other. All of k if it fits beside WIDE columns, and then as many columns as fit beside it. */
static void gemm_run(const gemm_problem *p, gemm_team *team, int self) {
    const int64_t width = gemm_least(gemm_ceil(p->columns, NR) * NR, WIDE);
    const int64_t depth = CHUNK / width / KC * KC;
    const int64_t depths = p->inner > depth ? gemm_ceil(p->inner, depth) : 1;
    const int64_t deepest = gemm_ceil(p->inner, depths);
    const int64_t most = deepest ? CHUNK / deepest / NR * NR : p->columns; /* columns of a chunk */
    for (int64_t column = 0; column < p->columns; column += most)
        for (int64_t d = 0; d < depths; d++) {
            const int64_t inner = gemm_part(p->inner, d, depths);
            const gemm_chunk chunk = {column, gemm_least(p->columns - column, most), inner,
                                      gemm_part(p->inner, d + 1, depths) - inner};
            if (column || d) gemm_meet(team); /* the chunk before is used up */
            gemm_run_chunk(p, &chunk, team, self);
        }
}

/* ---- Few rows ------------------------------------------------------------------------------- */

/* Packing b costs as much as reading it, so for a few rows of c it would double the time. Two ways
 * to read b where it lies, once, in the order of memory: */

/* b's columns lie along k (a weight (out, in) as b = W^T): each element of c is a dot product. `rows`
 * x `columns` of them run together, sharing the vectors of a and b; 8 or more hide the latency of
 * the multiply-add. */
INLINE void gemm_dots(const int rows, const int columns, const gemm_problem *p, int64_t row,
                      int64_t column) {
    const float *a = p->a + row * p->a_row, *b = p->b + column * p->b_column;
    vf sum[4][8];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < columns; j++)
        sum[i][j] = v_zero();
    int64_t k = 0;
    for (; k + LANES <= p->inner; k += LANES) {
        vf part[4];
        UNROLL for (int i = 0; i < rows; i++) part[i] = v_load(a + i * p->a_row + k);
        UNROLL for (int j = 0; j < columns; j++) {
            vf other = v_load(b + j * p->b_column + k);
            UNROLL for (int i = 0; i < rows; i++) sum[i][j] = v_fma(part[i], other, sum[i][j]);
        }
    }
    const int64_t rest = p->inner - k;
    UNROLL for (int i = 0; i < rows; i++) {
        float *c = p->c + (row + i) * p->c_row + column;
        int64_t step;
        const float *start = gemm_start(p, 0, (row + i) * p->c_row + column, column, &step);
        UNROLL for (int j = 0; j < columns; j++) {
            if (rest)
                sum[i][j] = v_fma(v_load_part(a + i * p->a_row + k, rest),
                                  v_load_part(b + j * p->b_column + k, rest), sum[i][j]);
            c[j] = v_reduce_add(sum[i][j]) + (start ? start[j] : 0);
        }
    }
}

/* b's rows lie along the columns: c is a sum of rows of b. A strip of `vectors` vectors of c stays in
 * registers while k runs; the last vector may be a part. */
INLINE void gemm_strip(const int vectors, const gemm_problem *p, int64_t row, int64_t column,
                       int64_t tail) {
    const float *a = p->a + row * p->a_row, *b = p->b + column;
    const int last = vectors - 1;
    int64_t step;
    const float *start = gemm_start(p, 0, row * p->c_row + column, column, &step);
    vf sum[8];
    UNROLL for (int j = 0; j < vectors; j++)
        sum[j] = start ? v_load_part(start + j * LANES, j == last ? tail : LANES) : v_zero();
    for (int64_t k = 0; k < p->inner; k++, b += p->b_inner) {
        vf element = v_set1(a[k * p->a_inner]);
        UNROLL for (int j = 0; j < last; j++)
            sum[j] = v_fma(element, v_load(b + j * LANES), sum[j]);
        vf end = tail == LANES ? v_load(b + last * LANES) : v_load_part(b + last * LANES, tail);
        sum[last] = v_fma(element, end, sum[last]);
    }
    UNROLL for (int j = 0; j < vectors; j++)
        v_store_part(p->c + row * p->c_row + column + j * LANES, sum[j],
                     j == last ? tail : LANES);
}

static int gemm_is_thin(const gemm_problem *p) {
    if (p->a_factor || p->rows > THIN || p->inner == 0) return 0;
    return (p->b_inner == 1 && p->a_inner == 1) || (p->b_column == 1 && p->rows <= 2);
}

/* Columns [first, last) of a thin product. */
static void gemm_thin(const gemm_problem *p, int64_t first, int64_t last) {
    int64_t column = first, row;
    if (p->b_inner == 1 && p->a_inner == 1) {
        for (; column + 8 <= last; column += 8) {
            for (row = 0; row + 2 <= p->rows; row += 2) gemm_dots(2, 8, p, row, column);
            if (row < p->rows) gemm_dots(1, 8, p, row, column);
        }
        for (; column < last; column++)
            for (row = 0; row < p->rows; row++) gemm_dots(1, 1, p, row, column);
    } else {
        for (; column + 8 * LANES <= last; column += 8 * LANES)
            for (row = 0; row < p->rows; row++) gemm_strip(8, p, row, column, LANES);
        for (; column < last; column += LANES)
            for (row = 0; row < p->rows; row++)
                gemm_strip(1, p, row, column, gemm_least(last - column, LANES));
    }
    if (gemm_needs_finish(p)) gemm_finish(p, p->c + first, p->rows, last - first);
}

/* ---- The entries ---------------------------------------------------------------------------- */

/* A column of c is a row of its transpose: with one column, exchange the operands. */
static gemm_problem gemm_oriented(const gemm_problem *p) {
    gemm_problem q = *p;
    if (p->columns != 1 || p->rows == 1 || p->c_row != 1 || p->bias || p->a_factor) return q;
    q.rows = 1, q.columns = p->rows;
    q.a = p->b, q.a_row = p->b_column, q.a_inner = p->b_inner;
    q.b = p->a, q.b_inner = p->a_inner, q.b_column = p->a_row;
    q.c_row = p->rows;
    return q;
}

static void gemm_serial(const gemm_problem *given, float *scratch) {
    const gemm_problem p = gemm_oriented(given);
    gemm_team team = {.threads = 1, .packed_b = scratch, .packed_a = scratch + CHUNK};
    if (gemm_is_thin(&p))
        gemm_thin(&p, 0, p.columns);
    else
        gemm_run(&p, &team, 0);
}

static void gemm(const gemm_problem *given, float *scratch) {
    const gemm_problem p = gemm_oriented(given);
    if (gemm_is_thin(&p)) { /* the cost is reading b */
        const int64_t strips = gemm_ceil(p.columns, 8 * LANES);
        PARALLEL_FOR(i, strips, 2 * LANES * p.inner)
            gemm_thin(&p, i * 8 * LANES, gemm_least((i + 1) * 8 * LANES, p.columns));
        return;
    }
    gemm_team team = {.packed_b = scratch, .packed_a = scratch + CHUNK};
    PARALLEL_REGION(p.rows * p.columns * (double)p.inner / LANES) {
        if (thread_index() == 0) team.threads = thread_count();
        barrier();
        gemm_run(&p, &team, thread_index());
    }
}

/* ---- The op --------------------------------------------------------------------------------- */

/* c[i] = a[i] b[i] for `batch` products; a[i] begins at a + a_at[i], b[i] at b + b_at[i] (elements),
 * c[i] one behind the other. Many small products: one a thread. Few: the team works on each. */
void matmul(const float *a, const int64_t *a_at, int64_t a_row, int64_t a_inner, const float *b,
            const int64_t *b_at, int64_t b_inner, int64_t b_column, float *c, int64_t batch,
            int64_t rows, int64_t columns, int64_t inner, float *scratch) {
    const gemm_problem shape = {.rows = rows, .columns = columns, .inner = inner, .a_row = a_row,
                                .a_inner = a_inner, .b_inner = b_inner, .b_column = b_column,
                                .c_row = columns};
    if (batch < get_threads()) {
        for (int64_t i = 0; i < batch; i++) {
            gemm_problem p = shape;
            p.a = a + a_at[i], p.b = b + b_at[i], p.c = c + i * rows * columns;
            gemm(&p, scratch);
        }
        return;
    }
    PARALLEL_FOR(i, batch, rows * columns * (double)inner / LANES) {
        gemm_problem p = shape;
        p.a = a + a_at[i], p.b = b + b_at[i], p.c = c + i * rows * columns;
        gemm_serial(&p, scratch + thread_index() * gemm_scratch(1));
    }
}
