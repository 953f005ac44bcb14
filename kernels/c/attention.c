/* Attention: y_i = sum_j p_ij v_j,  p_ij = softmax_j(scale q_i . k_j), over the keys that i sees.
 *
 * q, y (B, Tq, H, D), k, v (B, Tk, Hkv, D), lse (B, H, Tq), gradients likewise. q, k, v and the
 * gradients are strided views with a contiguous last axis: the heads of a packed projection are
 * read and written where they lie. What it all means, and the derivation of the gradients, is in
 * numpy_ref/attention.py.
 *
 * The (Tq, Tk) matrix of scores never exists. A panel of QUERIES queries meets KEYS keys at a time;
 * their scores fill a few kilobytes of first-level cache, become probabilities there, weigh the
 * values, and are forgotten. Softmax does not need the whole row: with the largest score m so far,
 * the sum l of e^(s-m) and the output o so far, a block with a larger score m' only has to shrink
 * both by e^(m-m') before it adds its own (Milakov and Gimelshein 2018; Rabe and Staats 2021; Dao
 * et al. 2022). Backward computes the scores again and gets p = e^(s - lse) without a maximum or a
 * sum. Which keys a query sees, biases and rotations: attention_sight.h. One query alone:
 * attention_query.h.
 *
 * All of it is one small product (attention_tile.h), and what makes it fast is where queries stand:
 * side by side in the lanes of a vector. Scores are kept transposed, S^T = K Q^T, a row for each
 * key; then m and l are plain vectors, and the next product, O^T = V^T P^T, takes S^T as it is.
 * Exponentials are powers of two: log2(e) is multiplied into q once, not into every score.
 *
 * Threads share out blocks of queries (forward) or whole key heads (backward), whoever is free
 * takes the next; no two write to the same place and every sum has a fixed order, so the result
 * does not depend on how many threads there are. Scratch: per thread O(D) floats forward, O(Tq D)
 * backward. k and v of a head are read once for every BLOCK queries forward, once in all backward.
 */
#include "attention_query.h"
#include "attention_sight.h"
#include "attention_tile.h"
#include "kernels.h"
#include "parallel.h"

enum {
    KEYS = 48,        /* keys in a block, a multiple of TILE_ROWS: 6 KB of scores with AVX-512 */
    BLOCK = 64,       /* queries that share a block of keys forward, and one piece of work */
    FEW_HEADS = 8,    /* with fewer than this, backward also divides a head's keys, */
    RANGE_KEYS = 256, /* yet not below this: each range prepares the queries for itself */
};

static inline int64_t attention_panels(int64_t rows) { return (rows + QUERIES - 1) / QUERIES; }
static inline int64_t attention_padded(int64_t n) { return attention_panels(n) * QUERIES; }

/* ---- forward ---- */

/* The row of scores of key j, -inf for the queries that do not see it. */
static inline void attention_hide_score(const attention_shape *s, const attention_span *span,
                                        int64_t i, int64_t j, float *scores) {
    vf x[VECTORS];
    UNROLL for (int c = 0; c < VECTORS; c++) x[c] = v_load(scores + c * LANES);
    attention_hide(s, span, i, j, v_set1(-INFINITY), x);
    UNROLL for (int c = 0; c < VECTORS; c++) v_store(scores + c * LANES, x[c]);
}

/* Scores (keys, QUERIES) of the block of keys at j0 -> exponentials relative to each query's
 * largest score so far. Updates that (peak) and the sum (total); keep says how much is left of the
 * sums of former blocks. */
static void attention_softmax_block(const attention_shape *s, const attention_span *span,
                                    int64_t i, int64_t j0, int64_t keys, float *scores, vf *peak,
                                    vf *total, vf *keep) {
    for (int64_t j = 0; j < keys && j0 + j < span->all; j++)
        attention_hide_score(s, span, i, j0 + j, scores + j * QUERIES);
    for (int64_t j = keys - 1; j >= 0; j--) {
        if (!attention_masked(s, i, j0 + j) && j0 + j < span->none) break;
        attention_hide_score(s, span, i, j0 + j, scores + j * QUERIES);
    }
    vf top[VECTORS], sum[VECTORS];
    UNROLL for (int c = 0; c < VECTORS; c++) top[c] = peak[c];
    for (int64_t j = 0; j < keys; j++)
        UNROLL for (int c = 0; c < VECTORS; c++)
            top[c] = v_max(top[c], v_load(scores + j * QUERIES + c * LANES));
    UNROLL for (int c = 0; c < VECTORS; c++) {
        keep[c] = attention_exp2(v_sub(peak[c], top[c]));
        sum[c] = v_mul(keep[c], total[c]);
        peak[c] = top[c];
    }
    for (int64_t j = 0; j < keys; j++) {
        float *at = scores + j * QUERIES;
        vf e[VECTORS];
        UNROLL for (int c = 0; c < VECTORS; c++) e[c] = v_sub(v_load(at + c * LANES), top[c]);
        attention_exp2_each(VECTORS, e);
        UNROLL for (int c = 0; c < VECTORS; c++) {
            v_store(at + c * LANES, e[c]);
            sum[c] = v_add(sum[c], e[c]);
        }
    }
    UNROLL for (int c = 0; c < VECTORS; c++) total[c] = sum[c];
}

/* A panel of queries on its way through the keys. */
typedef struct {
    float *columns, *out;              /* column panels (D, QUERIES): scaled queries, O^T so far */
    vf peak[VECTORS], total[VECTORS];
    attention_span span;
} attention_panel;

static void attention_forward_finish(const attention_shape *s, attention_panel *panel, int64_t i,
                                     attention_rows y, float *lse) {
    int64_t count = clamp(s->Tq - i, 0, QUERIES);
    float sums[QUERIES], peaks[QUERIES];
    vf inverse[VECTORS];
    for (int c = 0; c < VECTORS; c++) {
        v_store(sums + c * LANES, panel->total[c]);
        v_store(peaks + c * LANES, panel->peak[c]);
        /* A query that sees no key has sum 0 and output 0, and keeps them. */
        vm none = v_less(panel->total[c], v_set1(0x1p-126f));
        inverse[c] = v_div(v_set1(1), v_select(none, v_set1(1), panel->total[c]));
    }
    for (int64_t n = 0; n < count; n++)
        lse[i + n] = sums[n] == 0 ? -INFINITY : peaks[n] * LN_2 + logf(sums[n]);
    attention_unpack_columns(panel->out, inverse, count, s->D, y.at + i * y.step, y.step);
}

/* The queries i0 .. i0 + BLOCK - 1, as panels, against all the keys that they see: each block of
 * keys and values comes into the first-level cache once for all of them. */
static void attention_forward_block(const attention_shape *s, const attention_sight *sight,
                                    int64_t i0, attention_rows q, attention_rows k,
                                    attention_rows v, attention_rows y, float *lse,
                                    float *scratch) {
    int64_t D = s->D, size = D * QUERIES, last = clamp(i0 + BLOCK, 0, s->Tq) - 1;
    float *scores = scratch + 2 * BLOCK * D, *room = scores + KEYS * QUERIES;
    attention_panel panels[BLOCK / QUERIES];
    for (int64_t i = i0, n = 0; i <= last; i += QUERIES, n++) {
        attention_panel *panel = panels + n;
        *panel = (attention_panel){scratch + 2 * n * size, scratch + (2 * n + 1) * size};
        for (int c = 0; c < VECTORS; c++) panel->peak[c] = v_set1(NO_SCORE);
        memset(panel->out, 0, sizeof(float) * size);
        int64_t count = clamp(s->Tq - i, 0, QUERIES);
        attention_rows rows = attention_read(sight, D, s->Tk - s->Tq, q, i, count, room);
        attention_pack_columns(rows.at, rows.step, count, D, s->scale * LOG2_E, panel->columns);
        panel->span = attention_panel_span(s, sight, i);
    }
    for (int64_t j = 0; j < attention_end(s, last); j += KEYS) {
        attention_rows kj = attention_read(sight, D, 0, k, j, clamp(s->Tk - j, 0, KEYS), room);
        for (int64_t i = i0, n = 0; i <= last; i += QUERIES, n++) {
            attention_panel *panel = panels + n;
            int64_t end = attention_end(s, clamp(i + QUERIES - 1, 0, last));
            int64_t keys = clamp(end - j, 0, KEYS);
            vf keep[VECTORS];
            if (keys == 0 || attention_unseen(&panel->span, j, j + keys)) continue;
            attention_by_rows(keys, D, kj.at, kj.step, panel->columns, scores);
            if (sight->bias) attention_add_bias(sight, i, j, keys, scores);
            attention_softmax_block(s, &panel->span, i, j, keys, scores, panel->peak, panel->total,
                                    keep);
            attention_by_columns(D, keys, v.at + j * v.step, v.step, scores, keep, panel->out);
        }
    }
    for (int64_t i = i0, n = 0; i <= last; i += QUERIES, n++)
        attention_forward_finish(s, panels + n, i, y, lse);
}

static int64_t attention_share(const attention_shape *s, int backward); /* scratch of one thread */

void attention_forward(const attention_shape *s, const attention_sight *sight, const float *q,
                       const float *k, const float *v, float *y, float *lse, float *scratch) {
    /* A panel costs the same however few queries are in it: about as much as QUERIES / 8 alone. */
    int alone = s->Tq <= QUERIES / 8 && !sight->cos;
    int64_t pieces = alone ? s->Tq : (s->Tq + BLOCK - 1) / BLOCK, group = s->H / s->Hkv;
    int64_t packed[3] = {s->Tq * s->H * s->D, s->H * s->D, s->D}; /* y's strides */
    PARALLEL_REGION(2.0 * s->B * s->H * s->Tq * s->Tk * s->D) {
        float *mine = scratch + thread_index() * attention_share(s, 0);
        SHARE_OUT(piece, s->B * s->H * pieces) {
            int64_t b = piece / (s->H * pieces), h = piece / pieces % s->H, i = piece % pieces;
            attention_rows qh = attention_head(q, s->q, b, h), yh = attention_head(y, packed, b, h);
            attention_rows kh = attention_head(k, s->k, b, h / group);
            attention_rows vh = attention_head(v, s->v, b, h / group);
            attention_sight own = attention_sight_of(s, sight, b, h);
            float *lse_head = lse + (b * s->H + h) * s->Tq;
            if (alone)
                attention_query(s, &own, i, qh, kh, vh, yh, lse_head, mine);
            else
                attention_forward_block(s, &own, i * BLOCK, qh, kh, vh, yh, lse_head, mine);
        }
    }
}

/* ---- backward ---- */

/* A thread's scratch. The first six hold all queries of one head, the others one block. */
typedef struct {
    float *q_columns, *dy_columns; /* column panels: (panels, D, QUERIES) */
    float *q_rows, *dy_rows;       /* row panels of each panel: (panels, wide, QUERIES) */
    float *lse, *dot;              /* (padded): lse in powers of two, and dy_i . y_i */
    float *p, *ds;                 /* (KEYS, QUERIES) */
    float *dk, *dv;                /* row panels (wide / QUERIES, KEYS, QUERIES) */
    float *dq;                     /* column panels (panels, D, QUERIES) */
    float *room;                   /* (KEYS, D): rows that are turned */
    float *dbias;                  /* the head's sums by distance, at distance 0; NULL: not wanted */
    attention_sight sight;         /* of the head at work */
    int64_t wide;                  /* D rounded up to QUERIES */
    int64_t size;                  /* of everything, in floats */
} attention_work;

static attention_work attention_lay_out(const attention_shape *s, float *scratch) {
    int64_t padded = attention_padded(s->Tq), wide = attention_padded(s->D);
    attention_work w = {.wide = wide};
    int64_t sizes[] = {padded * s->D, padded * s->D, padded * wide, padded * wide, padded, padded,
                       KEYS * QUERIES, KEYS * QUERIES, KEYS * wide, KEYS * wide, padded * s->D,
                       KEYS * s->D};
    float **parts[] = {&w.q_columns, &w.dy_columns, &w.q_rows, &w.dy_rows, &w.lse, &w.dot,
                       &w.p, &w.ds, &w.dk, &w.dv, &w.dq, &w.room};
    for (int n = 0; n < 12; n++) {
        *parts[n] = scratch + w.size;
        w.size += sizes[n];
    }
    return w;
}

/* Into how many ranges backward divides each head's keys; it must not depend on the threads. */
static int64_t attention_ranges(const attention_shape *s) {
    int64_t wanted = FEW_HEADS / (s->B * s->Hkv), possible = s->Tk / RANGE_KEYS;
    return clamp(wanted, 1, possible > 1 ? possible : 1);
}

static int64_t attention_share(const attention_shape *s, int backward) {
    return backward ? attention_lay_out(s, NULL).size : (2 * BLOCK + KEYS) * s->D + KEYS * QUERIES;
}

int64_t attention_scratch(const attention_shape *s, const attention_sight *sight, int backward) {
    int64_t ranges = attention_ranges(s), partial = attention_padded(s->Tq) * s->D;
    int64_t partials = backward && ranges > 1 ? s->B * s->H * ranges * partial : 0;
    int64_t biases = backward && sight->bias ? s->B * ranges * s->H * sight->bias_step : 0;
    return get_threads() * attention_share(s, backward) + partials + biases;
}

/* What every block of keys needs of the queries from `begin` (a panel's first) on. */
static void attention_backward_prepare(const attention_shape *s, const attention_work *w,
                                       int64_t begin, attention_rows q, attention_rows dy,
                                       attention_rows y, const float *lse) {
    int64_t D = s->D, padded = attention_padded(s->Tq);
    for (int64_t i = begin; i < s->Tq; i += QUERIES) {
        int64_t count = clamp(s->Tq - i, 0, QUERIES);
        const float *dyi = attention_row(dy, i);
        attention_rows qi = attention_read(&w->sight, D, s->Tk - s->Tq, q, i, count, w->room);
        attention_pack_columns(qi.at, qi.step, count, D, s->scale * LOG2_E, w->q_columns + i * D);
        attention_pack_columns(dyi, dy.step, count, D, 1, w->dy_columns + i * D);
        attention_pack_rows(qi.at, qi.step, count, QUERIES, D, w->q_rows + i * w->wide);
        attention_pack_rows(dyi, dy.step, count, QUERIES, D, w->dy_rows + i * w->wide);
    }
    for (int64_t i = begin; i < padded; i++) {
        /* A query that sees nothing, or that is not there, gets p = e^-inf = 0. */
        w->lse[i] = i < s->Tq && lse[i] > -INFINITY ? lse[i] * LOG2_E : -NO_SCORE;
        vf sum = v_zero();
        for (int64_t d = 0; i < s->Tq && d < D; d += LANES)
            sum = v_fma(attention_load(dy.at + i * dy.step + d, D - d),
                        attention_load(y.at + i * y.step + d, D - d), sum);
        w->dot[i] = v_reduce_add(sum);
    }
}

/* p = e^(s - lse) in place of the scores, and ds = p (dp - dot) in place of dp. */
static void attention_softmax_backward(const attention_shape *s, const attention_work *w,
                                       const attention_span *span, int64_t i, int64_t j0,
                                       int64_t keys) {
    vf lse[VECTORS], dot[VECTORS];
    UNROLL for (int c = 0; c < VECTORS; c++) {
        lse[c] = v_load(w->lse + i + c * LANES);
        dot[c] = v_load(w->dot + i + c * LANES);
    }
    for (int64_t j = 0; j < keys; j++) {
        float *p_at = w->p + j * QUERIES, *ds_at = w->ds + j * QUERIES;
        vf p[VECTORS];
        UNROLL for (int c = 0; c < VECTORS; c++) p[c] = v_sub(v_load(p_at + c * LANES), lse[c]);
        attention_exp2_each(VECTORS, p);
        attention_hide(s, span, i, j0 + j, v_zero(), p);
        UNROLL for (int c = 0; c < VECTORS; c++) {
            v_store(p_at + c * LANES, p[c]);
            v_store(ds_at + c * LANES, v_mul(p[c], v_sub(v_load(ds_at + c * LANES), dot[c])));
        }
    }
}

/* Keys j0 .. end-1 against all queries that see them. Gradients of keys and values are summed in a
 * block's scratch and written once, those of queries grow in w->dq from one block to the next. */
static void attention_backward_keys(const attention_shape *s, const attention_work *w, int64_t j0,
                                    int64_t end, attention_rows k, attention_rows v,
                                    attention_rows dk, attention_rows dv, int add) {
    int64_t D = s->D, keys = clamp(end - j0, 0, KEYS);
    const float *vj = attention_row(v, j0);
    attention_rows kj = attention_read(&w->sight, D, 0, k, j0, keys, w->room);
    vf one[VECTORS];
    for (int c = 0; c < VECTORS; c++) one[c] = v_set1(1);
    memset(w->dk, 0, sizeof(float) * KEYS * w->wide);
    memset(w->dv, 0, sizeof(float) * KEYS * w->wide);
    for (int64_t i = attention_first_panel(s, j0); i < s->Tq; i += QUERIES) {
        int64_t seen = clamp(attention_end(s, i + QUERIES - 1) - j0, 0, keys);
        attention_span span = attention_panel_span(s, &w->sight, i);
        if (attention_unseen(&span, j0, j0 + seen)) continue;
        attention_by_rows(seen, D, kj.at, kj.step, w->q_columns + i * D, w->p); /* S^T = K Q^T */
        if (w->sight.bias) attention_add_bias(&w->sight, i, j0, seen, w->p);
        attention_by_rows(seen, D, vj, v.step, w->dy_columns + i * D, w->ds); /* dP^T = V dY^T */
        attention_softmax_backward(s, w, &span, i, j0, seen);
        if (w->dbias) attention_sum_bias(w->dbias, i, j0, seen, w->ds);
        attention_by_columns(D, seen, kj.at, kj.step, w->ds, one, w->dq + i * D); /* += K^T dS^T */
        for (int64_t d = 0; d < w->wide; d += QUERIES) {
            const float *q_rows = w->q_rows + i * w->wide + d * QUERIES;
            const float *dy_rows = w->dy_rows + i * w->wide + d * QUERIES;
            attention_by_panel(seen, w->p, dy_rows, w->dv + d * KEYS); /* dV += P^T dY */
            attention_by_panel(seen, w->ds, q_rows, w->dk + d * KEYS); /* dK += dS^T Q */
        }
    }
    attention_unpack_rows(w->dk, KEYS, keys, D, s->scale, add, dk.at + j0 * dk.step, dk.step);
    attention_unpack_rows(w->dv, KEYS, keys, D, 1, add, dv.at + j0 * dv.step, dv.step);
}

static void attention_unpack_dq(const attention_shape *s, const attention_sight *sight,
                                const float *panels, int64_t i, attention_rows dq) {
    int64_t count = clamp(s->Tq - i, 0, QUERIES);
    vf scale[VECTORS];
    for (int c = 0; c < VECTORS; c++) scale[c] = v_set1(s->scale);
    attention_unpack_columns(panels + i * s->D, scale, count, s->D, attention_row(dq, i), dq.step);
    attention_turn_back(sight, s->D, s->Tk - s->Tq, dq, i, count);
}

void attention_backward(const attention_shape *s, const attention_sight *sight, const float *dy,
                        const float *q, const float *k, const float *v, const float *y,
                        const float *lse, float *dq, float *dk, float *dv, float *dbias,
                        float *scratch) {
    int64_t D = s->D, group = s->H / s->Hkv, ranges = attention_ranges(s);
    int64_t blocks = (s->Tk + KEYS - 1) / KEYS, head_size = attention_padded(s->Tq) * D;
    int64_t packed[3] = {s->Tq * s->H * D, s->H * D, D}; /* strides of y and dy */
    int64_t row = sight->bias_step, table = s->H * row;
    float *partials = scratch + get_threads() * attention_share(s, 1);
    float *biases = partials + (ranges > 1 ? s->B * s->H * ranges * head_size : 0);
    PARALLEL_REGION(5.0 * s->B * s->H * s->Tq * s->Tk * D) {
        attention_work w = attention_lay_out(s, scratch + thread_index() * attention_share(s, 1));
        float *own_dq = w.dq;
        SHARE_OUT(piece, s->B * s->Hkv * ranges) {
            int64_t b = piece / (s->Hkv * ranges), hk = piece / ranges % s->Hkv, n = piece % ranges;
            int64_t begin = blocks * n / ranges * KEYS;
            int64_t end = clamp(blocks * (n + 1) / ranges * KEYS, 0, s->Tk);
            attention_rows kh = attention_head(k, s->k, b, hk), vh = attention_head(v, s->v, b, hk);
            attention_rows dkh = attention_head(dk, s->dk, b, hk);
            attention_rows dvh = attention_head(dv, s->dv, b, hk);
            for (int64_t h = hk * group; h < (hk + 1) * group; h++) {
                int64_t head = b * s->H + h;
                w.sight = attention_sight_of(s, sight, b, h);
                w.dq = ranges == 1 ? own_dq : partials + (head * ranges + n) * head_size;
                memset(w.dq, 0, sizeof(float) * head_size);
                if (dbias) {
                    float *own = biases + (b * ranges + n) * table + h * row;
                    memset(own, 0, sizeof(float) * row);
                    w.dbias = own + s->Tk - 1;
                }
                attention_backward_prepare(s, &w, attention_first_panel(s, begin),
                                           attention_head(q, s->q, b, h),
                                           attention_head(dy, packed, b, h),
                                           attention_head(y, packed, b, h), lse + head * s->Tq);
                for (int64_t j = begin; j < end; j += KEYS)
                    attention_backward_keys(s, &w, j, end, kh, vh, dkh, dvh, h > hk * group);
                for (int64_t i = 0; ranges == 1 && i < s->Tq; i += QUERIES)
                    attention_unpack_dq(s, sight, w.dq, i, attention_head(dq, s->dq, b, h));
            }
            attention_turn_back(sight, D, 0, dkh, begin, end - begin);
        }
        /* dq of a head whose keys were divided: the ranges' partial sums, added in their order. */
        SHARE_OUT(head, ranges > 1 ? s->B * s->H : 0) {
            float *sum = partials + head * ranges * head_size;
            for (int64_t n = 1; n < ranges; n++)
                for (int64_t e = 0; e < head_size; e += LANES)
                    v_store(sum + e, v_add(v_load(sum + e), v_load(sum + n * head_size + e)));
            attention_rows dqh = attention_head(dq, s->dq, head / s->H, head % s->H);
            for (int64_t i = 0; i < s->Tq; i += QUERIES) attention_unpack_dq(s, sight, sum, i, dqh);
        }
        /* dbias likewise, over batch rows and ranges. */
        SHARE_OUT(h, dbias ? s->H : 0) {
            memset(dbias + h * row, 0, sizeof(float) * row);
            for (int64_t n = 0; n < s->B * ranges; n++)
                for (int64_t e = 0; e < row; e++) dbias[h * row + e] += biases[n * table + h * row + e];
        }
    }
}
