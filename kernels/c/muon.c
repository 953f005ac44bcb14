/* Muon for a list of matrices; derived in numpy_ref/muon.py.
 *
 *     g = grad_scale grad;   held = momentum held + g;   X = momentum held + g
 *     param = decay param - rate W X      (X W where X is tall), W = W(X X^T) (X^T X)
 *
 * One matrix a thread, from its gradient to its update, largest first: the threads share nothing and
 * meet once, at the end. The m x m matrices of the rounds stay in its L2 (128 x 128: 64 kB each, four
 * of them); every product but the last is symmetric.h's, which halves it and leaves its result as
 * the next one reads it, so that X is packed once and nothing else is.
 *
 * Multiplications for m x n, m the smaller (blocks on the diagonal are computed whole and cost a
 * little more than the halves below):
 *
 *     G = X X^T              n m^2 / 2
 *     p = a + b G + c G^2    m^3 / 2                      each round
 *     G = p (p G)            2 m^3 / 2                    but for the last round
 *     W = p W                m^3 / 2                      but for the first, where W = p
 *     W X                    n m^2
 *
 * Passes over memory: param and momentum are read and written once, grad is read once. The factor
 * 1 / |X| of W is left to the update's rate.
 */
#include "gemm.h"
#include "kernels.h"
#include "overlap.h"
#include "parallel.h"
#include "simd.h"
#include "symmetric.h"

typedef struct { /* floats that one thread needs, as many as the largest matrix takes */
    int64_t ahead, packed, panel, square;
} muon_sizes;

typedef struct { /* one thread's memory */
    float *ahead;     /* X, rows x columns */
    float *packed;    /* X or X^T in panels */
    float *panel;     /* one of the other way round */
    float *square[4]; /* panels of m x m matrices */
} muon_room;

static int64_t muon_short(const muon_matrix *x) { return gemm_least(x->rows, x->columns); }
static int64_t muon_long(const muon_matrix *x) { return gemm_most(x->rows, x->columns); }
static int64_t muon_panels(const muon_matrix *x) { return gemm_ceil(muon_short(x), NR); }
static int64_t muon_lines(int64_t n) { return gemm_ceil(n, CACHE_LINE) * CACHE_LINE; }

static muon_sizes muon_sizes_of(const muon_matrix *matrices, int64_t count) {
    muon_sizes most = {0, 0, 0, 0};
    for (int64_t i = 0; i < count; i++) {
        const muon_matrix *x = &matrices[i];
        const int64_t panels = muon_panels(x);
        most.ahead = gemm_most(most.ahead, muon_lines(x->rows * x->columns));
        most.packed = gemm_most(most.packed, muon_lines(panels * NR * muon_long(x)));
        most.panel = gemm_most(most.panel, panels * NR * NR);
        most.square = gemm_most(most.square, symmetric_size(panels));
    }
    return most;
}

static int64_t muon_floats(const muon_sizes *s) {
    return s->ahead + s->packed + s->panel + 4 * s->square;
}

int64_t muon_scratch(const muon_matrix *matrices, int64_t count) {
    const muon_sizes sizes = muon_sizes_of(matrices, count);
    return get_threads() * muon_floats(&sizes);
}

static muon_room muon_room_at(float *from, const muon_sizes *s) {
    float *packed = from + s->ahead, *panel = packed + s->packed, *square = panel + s->panel;
    return (muon_room){from, packed, panel,
                       {square, square + s->square, square + 2 * s->square, square + 3 * s->square}};
}

int muon_overlap(const muon_matrix *matrices, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const muon_matrix *a = &matrices[i];
        const float *one[] = {a->param, a->momentum};
        for (int64_t j = 0; j < count; j++) {
            const muon_matrix *b = &matrices[j];
            const float *other[] = {b->param, b->momentum, b->grad};
            const int64_t n = a->rows * a->columns, other_n = b->rows * b->columns;
            if (overlap(one, n, other, other_n, 2, 3, i == j)) return 1;
        }
    }
    return 0;
}

/* The gradient into the momentum, and X, Nesterov's step. */
static void muon_look_ahead(const muon_matrix *x, const muon_factors *f, float *ahead) {
    const vf scale = v_set1(f->grad_scale), keep = v_set1(f->momentum);
    const int64_t size = x->rows * x->columns;
    for (int64_t i = 0; i < size; i += LANES) {
        const int64_t n = gemm_least(size - i, LANES);
        vf g = v_mul(v_load_part(x->grad + i, n), scale);
        vf held = v_fma(v_load_part(x->momentum + i, n), keep, g);
        v_store_part(x->momentum + i, held, n);
        v_store_part(ahead + i, v_fma(held, keep, g), n);
    }
}

/* The Gram matrix of X on its smaller side, in panels; divided by its trace, |X|^2, which is
 * returned. */
static float muon_gram(const muon_matrix *x, const muon_factors *f, const muon_room *room) {
    float *g = room->square[0];
    const int wide = x->rows <= x->columns;
    const int64_t m = muon_short(x), panels = muon_panels(x), size = symmetric_size(panels);
    const gemm_problem side = {.b_inner = wide ? 1 : m, .b_column = wide ? x->columns : 1};
    gemm_pack_b(&side, room->ahead, muon_long(x), m, 0, panels, room->packed);
    symmetric_product(&(symmetric_problem){.panels = panels, .depth = muon_long(x),
                                           .a = room->packed, .b = room->packed, .c = g});
    double trace = 0;
    for (int64_t j = 0; j < panels; j++)
        for (int64_t r = 0; r < NR; r++) trace += g[symmetric_block(panels, j, j) + r * NR + r];
    const float squared_norm = (float)trace + f->tiny;
    for (int64_t i = 0; i < size; i += LANES)
        v_store(g + i, v_mul(v_load(g + i), v_set1(1 / squared_norm)));
    return squared_norm;
}

/* c = a b of m x m matrices that commute. */
static void muon_product(int64_t panels, const float *a, const float *b, float *c) {
    symmetric_product(&(symmetric_problem){.panels = panels, .depth = panels * NR, .a = a, .b = b,
                                           .c = c});
}

/* W of square[0], the scaled Gram matrix; W without the scale, one of the squares. */
static float *muon_whiten(int64_t panels, const muon_factors *f, const muon_room *room) {
    float *g = room->square[0], *p = room->square[1], *w = NULL, *other = room->square[2];
    for (int64_t i = 0; i < f->count; i++) {
        const float *round = f->rounds + 3 * i;
        symmetric_product(&(symmetric_problem){
            .panels = panels, .depth = panels * NR, .a = g, .b = g, .c = p, .add = g,
            .shift = round[0], .add_factor = round[1], .factor = round[2]});
        if (i + 1 < f->count) {
            muon_product(panels, p, g, other);
            muon_product(panels, p, other, g);
        }
        if (!w) { /* p of an identity */
            w = p, p = room->square[3];
            continue;
        }
        muon_product(panels, p, w, other);
        float *old = w;
        w = other, other = old;
    }
    return w;
}

/* param = decay param - rate block, for the NR x NR of param that begin at (row, column). */
static void muon_move(const muon_matrix *x, int64_t row, int64_t column, const float *block,
                      float decay, float rate) {
    const int64_t rows = gemm_least(x->rows - row, NR);
    for (int64_t r = 0; r < rows; r++, block += NR)
        for (int64_t j = 0; j < NR && column + j < x->columns; j += LANES) {
            float *param = x->param + (row + r) * x->columns + column + j;
            const int64_t n = gemm_least(x->columns - column - j, LANES);
            vf step = v_mul(v_load(block + j), v_set1(rate));
            v_store_part(param, v_sub(v_mul(v_load_part(param, n), v_set1(decay)), step), n);
        }
}

/* The update along W X (X W), block by block: NR of X's long side are packed at a time, and a block of
 * the product goes from L1 into param. */
static void muon_apply(const muon_matrix *x, const muon_room *room, const float *w, float decay,
                       float rate) {
    const int wide = x->rows <= x->columns;
    const int64_t m = muon_short(x), n = muon_long(x), depth = muon_panels(x) * NR;
    const gemm_problem side = {.b_inner = wide ? n : 1, .b_column = wide ? 1 : m};
    float block[NR * NR];
    for (int64_t r = 0; r < n; r += NR) {
        gemm_pack_b(&side, room->ahead + r * side.b_column, m, gemm_least(n - r, NR), 0, 1, room->panel);
        for (int64_t i = 0; i < m; i += NR) {
            const float *part = w + i * depth;
            symmetric_sum(m, wide ? part : room->panel, wide ? room->panel : part, block, 0);
            muon_move(x, wide ? i : r, wide ? r : i, block, decay, rate);
        }
    }
}

static void muon_one(const muon_matrix *x, const muon_factors *f, const muon_room *room) {
    if (!muon_short(x)) return;
    muon_look_ahead(x, f, room->ahead);
    const float squared_norm = muon_gram(x, f, room);
    const float *w = muon_whiten(muon_panels(x), f, room);
    muon_apply(x, room, w, f->decay, x->rate / sqrtf(squared_norm));
}

void muon_update(const muon_matrix *matrices, int64_t count, const muon_factors *factors,
                 float *scratch) {
    double work = 0;
    for (int64_t i = 0; i < count; i++) {
        const double m = (double)muon_short(&matrices[i]), n = (double)muon_long(&matrices[i]);
        work += m * m * (1.5 * n + 2 * m * (double)factors->count) / LANES;
    }
    const muon_sizes sizes = muon_sizes_of(matrices, count);
    PARALLEL_REGION(work) {
        const muon_room room = muon_room_at(scratch + thread_index() * muon_floats(&sizes), &sizes);
        SHARE_OUT(i, count) muon_one(&matrices[i], factors, &room);
    }
}
