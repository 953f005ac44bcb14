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
 *    in L2. A block is also the unit of work that a thread takes: smaller where there would be
 *    fewer than SHARES a thread, so that a fast core can take over what a slow one has not begun.
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
 * The copy of a is spared where it would be used for a few panels only and its rows lie along k.
 *
 * The tile is in gemm_tile.h, with all sizes; packing in gemm_pack.h; the loops are here.
 * The five loops, from the outside: columns of c in chunks, k in chunks (gemm_wide); blocks of rows,
 * shared among the threads (gemm_chunk_part); k by KC and panels of b (gemm_block); tiles down the
 * block (gemm_panel). The threads meet only when a chunk of b is packed and when it is used up, and
 * none ever adds to another's sums: an element of c is summed in the order of k, whoever does it.
 *
 * What surrounds the product costs no pass over memory: bias and residual are where the sums start
 * instead of at zero, and an operand's activation is applied while it is packed.
 *
 * With fewer rows than that can be shared out, a and b exchange their roles: gemm_narrow.h. With very
 * few (one token at a time) each element of b is used once or twice, nothing can be faster than
 * memory, and b is read where it lies: gemm_thin.h.
 *
 * Source: Goto and van de Geijn 2008; the five loops and the names as in BLIS, Van Zee and van de
 * Geijn 2015. Measurements behind the constants: bench/LOG.md.
 */
#include "gemm.h"
#include "gemm_narrow.h"
#include "gemm_pack.h"
#include "gemm_team.h"
#include "gemm_thin.h"
#include "kernels.h"
#include "parallel.h"

int64_t gemm_scratch(int64_t threads) { return CHUNK + threads * A_BLOCK + 16; }

/* ---- The loops ------------------------------------------------------------------------------ */

typedef struct { /* a chunk of b: columns [column, column + columns), k in [inner, inner + depth) */
    int64_t column, columns, inner, depth;
} gemm_chunk;

/* Rows [first, last) of c and all panels of one packed chunk of b. a is packed too, unless its rows
 * lie along k and are used so few times that it would not pay. Whole rows, one after the other in
 * memory, are packed at its full speed; where k has steps, pieces of rows are not. */
static void gemm_block(const gemm_problem *p, const gemm_chunk *chunk, int64_t first, int64_t last,
                       const float *packed_b, float *packed_a) {
    const int64_t steps = gemm_pieces(chunk->depth, KC);
    const int64_t few = steps > 1 ? 3 * FEW : FEW;
    const int in_place = p->a_inner == 1 && !p->a_activation && chunk->columns <= few * NR;
    for (int64_t s = 0; s < steps; s++) {
        const int64_t begin = gemm_part(chunk->depth, s, steps);
        const int64_t depth = gemm_part(chunk->depth, s + 1, steps) - begin;
        const int64_t k = chunk->inner + begin;
        if (!in_place) gemm_pack_a(p, first, last, k, depth, packed_a);
        for (int64_t column = 0; column < chunk->columns; column += NR)
            gemm_panel(p, first, last, chunk->column + column,
                       gemm_least(chunk->columns - column, NR), k, depth,
                       in_place ? NULL : packed_a, packed_b + column * chunk->depth + begin * NR);
    }
}

/* One thread's part in one chunk: pack a share of b, meet, take blocks of rows. */
static void gemm_chunk_part(const gemm_problem *p, const gemm_chunk *chunk, const gemm_worker *w) {
    const int64_t panels = gemm_ceil(chunk->columns, NR);
    gemm_pack_b(p, p->b + chunk->inner * p->b_inner + chunk->column * p->b_column, chunk->depth,
                chunk->columns, gemm_part(panels, w->self, w->threads),
                gemm_part(panels, w->self + 1, w->threads), w->shared);
    /* SHARES blocks for each thread, so that there is something to take over from a slow one. */
    int64_t blocks = gemm_ceil(p->rows, MC);
    if (w->threads > 1 && blocks < SHARES * w->threads)
        blocks = gemm_least(SHARES * w->threads, gemm_ceil(p->rows, 2 * MR));
    gemm_share_out(w, blocks);
    gemm_meet(w);
    for (int64_t block; (block = gemm_take(w)) >= 0;)
        gemm_block(p, chunk, gemm_part(p->rows, block, blocks),
                   gemm_part(p->rows, block + 1, blocks), w->shared, w->own);
}

/* Chunk after chunk: columns outside, k inside, so that one group of c's columns is finished after
 * the other. All of k if it fits beside WIDE columns, and then as many columns as fit beside it. */
static void gemm_wide(const gemm_problem *p, const gemm_worker *w) {
    const int64_t width = gemm_least(gemm_ceil(p->columns, NR) * NR, WIDE);
    const int64_t depth = CHUNK / width / KC * KC;
    const int64_t depths = gemm_pieces(p->inner, depth);
    const int64_t deepest = gemm_ceil(p->inner, depths);
    const int64_t most = deepest ? CHUNK / deepest / NR * NR : p->columns; /* columns of a chunk */
    for (int64_t column = 0; column < p->columns; column += most)
        for (int64_t d = 0; d < depths; d++) {
            const int64_t inner = gemm_part(p->inner, d, depths);
            const gemm_chunk chunk = {column, gemm_least(p->columns - column, most), inner,
                                      gemm_part(p->inner, d + 1, depths) - inner};
            if (column || d) gemm_meet(w); /* the chunk before is used up */
            gemm_chunk_part(p, &chunk, w);
        }
}

/* ---- The entries ---------------------------------------------------------------------------- */

/* A column of c is a row of its transpose: with one column, exchange the operands. */
static gemm_problem gemm_oriented(const gemm_problem *p) {
    gemm_problem q = *p;
    if (p->columns != 1 || p->rows == 1 || p->c_row != 1 || p->bias) return q;
    if (p->a_activation || p->b_activation) return q;
    q.rows = 1, q.columns = p->rows;
    q.a = p->b, q.a_row = p->b_column, q.a_inner = p->b_inner;
    q.b = p->a, q.b_inner = p->a_inner, q.b_column = p->a_row;
    q.c_row = p->rows;
    return q;
}

/* One thread's part in a product that is not thin. */
static void gemm_run(const gemm_problem *p, const gemm_worker *w) {
    if (!p->rows || !p->columns) return;
    gemm_is_narrow(p) ? gemm_narrow(p, w) : gemm_wide(p, w);
}

static void gemm_serial(const gemm_problem *given, float *scratch) {
    gemm_problem p = gemm_oriented(given);
    gemm_queue queue;
    const gemm_worker alone = gemm_worker_of(0, 1, &queue, scratch);
    if (gemm_is_thin(&p)) {
        gemm_thin_ready(&p, scratch);
        gemm_thin(&p, 0, p.columns);
    } else {
        gemm_run(&p, &alone);
    }
}

static void gemm(const gemm_problem *given, float *scratch) {
    gemm_problem p = gemm_oriented(given);
    if (gemm_is_thin(&p)) { /* the cost is reading b */
        gemm_thin_ready(&p, scratch);
        const int64_t strips = gemm_ceil(p.columns, 8 * LANES);
        PARALLEL_FOR(i, strips, 2 * LANES * p.inner)
            gemm_thin(&p, i * 8 * LANES, gemm_least((i + 1) * 8 * LANES, p.columns));
        return;
    }
    gemm_queue queues[MOST_THREADS];
    PARALLEL_REGION(p.rows * p.columns * (double)p.inner / LANES) {
        const gemm_worker w = gemm_worker_of(thread_index(), thread_count(), queues, scratch);
        gemm_run(&p, &w);
    }
}

/* ---- The op --------------------------------------------------------------------------------- */

/* Many small products: one a thread, each in scratch of its own. Few: the team works on each. */
static int matmul_side_by_side(int64_t batch) { return batch >= get_threads(); }

int64_t matmul_scratch(int64_t batch) {
    const int64_t threads = get_threads();
    return matmul_side_by_side(batch) ? threads * gemm_scratch(1) : gemm_scratch(threads);
}

/* c[i] = a[i] b[i] for `batch` products; a[i] begins at a + a_at[i], b[i] at b + b_at[i] (elements),
 * c[i] one behind the other. */
void matmul(const float *a, const int64_t *a_at, int64_t a_row, int64_t a_inner, const float *b,
            const int64_t *b_at, int64_t b_inner, int64_t b_column, float *c, int64_t batch,
            int64_t rows, int64_t columns, int64_t inner, float *scratch) {
    const gemm_problem shape = {.rows = rows, .columns = columns, .inner = inner, .a_row = a_row,
                                .a_inner = a_inner, .b_inner = b_inner, .b_column = b_column,
                                .c_row = columns};
    if (!matmul_side_by_side(batch)) {
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
