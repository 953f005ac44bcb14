/* What a query of attention.c sees and where it stands: masks, biases by distance, rotations.
 *
 * Query i sees the keys from first[i] on (NULL: from key 0), before last[i] (NULL: all), and if
 * causal up to i + Tk - Tq. There is no (Tq, Tk) mask: a block of keys that no query of a panel sees
 * is passed over, and one on an edge is masked key by key, all queries of the panel at once. A bias
 * depends on i - j alone, so that a panel of queries reads the row of its head as a vector. What is
 * rotated is rotated on its way into scratch, in the first-level cache.
 */
#pragma once
#include "attention_tile.h"
#include "kernels.h"

static const float LOG2_E = 1.44269504f, LN_2 = 0.69314718f;

/* A head of q, k, v or a gradient: row t begins at at + t * step. */
typedef struct {
    float *at;
    int64_t step;
} attention_rows;

static attention_rows attention_head(const float *x, const int64_t strides[3], int64_t b,
                                     int64_t h) {
    return (attention_rows){(float *)x + b * strides[0] + h * strides[2], strides[1]};
}
static inline float *attention_row(attention_rows x, int64_t t) { return x.at + t * x.step; }

/* The sight of the queries of one head of one batch row. bias points to distance 0, so that the
 * bias of query i and key j is bias[i - j]. */
static inline attention_sight attention_sight_of(const attention_shape *s,
                                                 const attention_sight *all, int64_t b, int64_t h) {
    attention_sight one = *all;
    if (one.first) one.first += b * s->Tq;
    if (one.last) one.last += b * s->Tq;
    if (one.bias) one.bias += h * one.bias_step + s->Tk - 1;
    return one;
}

/* ---- which keys ---- */

/* Query i sees no key from here on, whatever `last` says. */
static inline int64_t attention_end(const attention_shape *s, int64_t i) {
    return s->causal ? clamp(i + 1 + s->Tk - s->Tq, 0, s->Tk) : s->Tk;
}

/* Does key j come after some query of the panel at i? */
static inline int attention_masked(const attention_shape *s, int64_t i, int64_t j) {
    return s->causal && j > i + s->Tk - s->Tq;
}

/* The first panel with a query that does not come before key j. */
static inline int64_t attention_first_panel(const attention_shape *s, int64_t j) {
    if (!s->causal) return 0;
    return clamp(j - (s->Tk - s->Tq), 0, s->Tq) / QUERIES * QUERIES;
}

/* first and last of a panel's queries, each in its lane. No query sees a key before `least` or from
 * `most` on; every query sees those from `all` to `none` - 1, unless they are causally masked. */
typedef struct {
    vi first[VECTORS], last[VECTORS];
    int64_t least, all, none, most;
} attention_span;

/* Of the panel at i. Lanes past the last query repeat it, so that they decide nothing. */
static inline attention_span attention_panel_span(const attention_shape *s,
                                                  const attention_sight *sight, int64_t i) {
    const int64_t *first = sight->first, *last = sight->last;
    attention_span span = {.least = first ? s->Tk : 0, .none = s->Tk, .most = last ? 0 : s->Tk};
    int32_t from[QUERIES] = {0}, to[QUERIES] = {0};
    for (int64_t n = 0; first && n < QUERIES; n++) {
        int64_t key = first[clamp(i + n, 0, s->Tq - 1)];
        from[n] = (int32_t)key;
        if (key < span.least) span.least = key;
        if (key > span.all) span.all = key;
    }
    for (int64_t n = 0; last && n < QUERIES; n++) {
        int64_t key = last[clamp(i + n, 0, s->Tq - 1)];
        to[n] = (int32_t)key;
        if (key < span.none) span.none = key;
        if (key > span.most) span.most = key;
    }
    for (int c = 0; c < VECTORS; c++) {
        span.first[c] = vi_load(from + c * LANES);
        span.last[c] = vi_load(to + c * LANES);
    }
    return span;
}

/* Does none of the panel's queries see any of the keys j .. end-1? */
static inline int attention_unseen(const attention_span *span, int64_t j, int64_t end) {
    return end <= span->least || j >= span->most;
}

/* x, the panel at i's numbers for key j, becomes `hidden` for the queries that do not see it. */
INLINE void attention_hide(const attention_shape *s, const attention_span *span, int64_t i,
                           int64_t j, vf hidden, vf *x) {
    if (attention_masked(s, i, j))
        UNROLL for (int c = 0; c < VECTORS; c++) {
            vm before = v_first(clamp(j - (s->Tk - s->Tq) - i - c * LANES, 0, LANES));
            x[c] = v_select(before, hidden, x[c]);
        }
    vi key = vi_set1((int32_t)j);
    if (j < span->all)
        UNROLL for (int c = 0; c < VECTORS; c++)
            x[c] = v_select(vi_less_unsigned(key, span->first[c]), hidden, x[c]);
    if (j >= span->none)
        UNROLL for (int c = 0; c < VECTORS; c++)
            x[c] = v_select(vi_less_unsigned(key, span->last[c]), x[c], hidden);
}

/* ---- biases ---- */

/* Scores (keys, QUERIES), in powers of two, of the panel at i and the keys from j on, += bias. */
static void attention_add_bias(const attention_sight *sight, int64_t i, int64_t j, int64_t keys,
                               float *scores) {
    vf factor = v_set1(LOG2_E);
    for (int64_t n = 0; n < keys; n++, scores += QUERIES)
        for (int c = 0; c < QUERIES; c += LANES) {
            vf bias = v_load(sight->bias + i - j - n + c);
            v_store(scores + c, v_fma(bias, factor, v_load(scores + c)));
        }
}

/* The other way: dbias, which points to distance 0, += ds (keys, QUERIES), along its diagonals.
 * Queries that are not there have ds 0, and the row's padding takes it. */
static void attention_sum_bias(float *dbias, int64_t i, int64_t j, int64_t keys, const float *ds) {
    for (int64_t n = 0; n < keys; n++, ds += QUERIES)
        for (int c = 0; c < QUERIES; c += LANES) {
            float *to = dbias + i - j - n + c;
            v_store(to, v_add(v_load(to), v_load(ds + c)));
            overlapping();
        }
}

/* ---- rotations ---- */

/* Rows of x (count, D), the first at `position`, turned (sign 1) or turned back (-1) -> y, which may
 * be x. Coordinates from 2 R on are copied, R = sight->turned. */
static void attention_turn(const attention_sight *sight, int64_t D, int64_t position, int64_t count,
                           float sign, attention_rows x, attention_rows y) {
    int64_t R = sight->turned;
    vf direction = v_set1(sign);
    for (int64_t t = 0; t < count; t++) {
        const float *from = attention_row(x, t);
        float *to = attention_row(y, t);
        const float *cosine = sight->cos + (position + t) * R, *sine = sight->sin + (position + t) * R;
        for (int64_t d = 0; d < R; d += LANES) {
            int64_t n = R - d;
            vf c = attention_load(cosine + d, n), s = v_mul(direction, attention_load(sine + d, n));
            vf a = attention_load(from + d, n), b = attention_load(from + R + d, n);
            attention_store(to + d, v_fnma(b, s, v_mul(a, c)), n);
            attention_store(to + R + d, v_fma(a, s, v_mul(b, c)), n);
        }
        if (2 * R < D && from != to) memcpy(to + 2 * R, from + 2 * R, sizeof(float) * (D - 2 * R));
    }
}

/* Rows t .. t + count - 1 of x as attention multiplies them: x's own, or turned ones in `room`
 * (count, D).  position: that of row 0. */
static inline attention_rows attention_read(const attention_sight *sight, int64_t D,
                                            int64_t position, attention_rows x, int64_t t,
                                            int64_t count, float *room) {
    attention_rows rows = {attention_row(x, t), x.step}, turned = {room, D};
    if (!sight->cos) return rows;
    attention_turn(sight, D, position + t, count, 1, rows, turned);
    return turned;
}

/* A gradient's rows t .. t + count - 1 turned back where they lie. */
static inline void attention_turn_back(const attention_sight *sight, int64_t D, int64_t position,
                                       attention_rows x, int64_t t, int64_t count) {
    attention_rows rows = {attention_row(x, t), x.step};
    if (sight->cos) attention_turn(sight, D, position + t, count, -1, rows, rows);
}
