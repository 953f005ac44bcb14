/* One token's attention in decode.c: to the keys that its sequence's ring holds.
 *
 * Position p lies at place p mod places. So what a token sees, oldest first, is one run of places or,
 * where the ring has come round, two; scores and weights lie in a row of their own.
 */
#pragma once
#include "decode_team.h"
#include "norm_rows.h"

/* The places of the positions that a token sees, oldest first: `count` from `first` on, then those
 * from place 0 on. */
typedef struct {
    int64_t first[2], count[2], seen;
} decode_span;

static decode_span decode_seen(const decode_network *net, int64_t position) {
    const int64_t seen = position < net->sight ? position + 1 : net->sight;
    const int64_t end = position % net->places + 1, before = seen > end ? seen - end : 0;
    if (!before) return (decode_span){{end - seen, 0}, {seen, 0}, seen};
    return (decode_span){{net->places - before, 0}, {before, end}, seen};
}

/* Turn the pairs (x_i, x_{i + pairs}), in place. */
static void decode_rotate(float *x, const float *turns, int64_t pairs) {
    const float *cosine = turns, *sine = turns + pairs;
    for (int64_t i = 0; i < pairs; i++) {
        const float a = x[i], b = x[i + pairs];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + pairs] = b * cosine[i] + a * sine[i];
    }
}

/* A query's or key's head, in place: normed if it has a norm, then turned. */
static void decode_place(const decode_state *s, float *x, const float *norm, const float *turns) {
    const int64_t D = s->net->head_dim;
    float rstd;
    if (norm) rmsnorm_row(x, 0, norm, s->net->eps, x, x, &rstd, D);
    decode_rotate(x, turns, s->net->pairs);
}

/* y += sum_t p_t v_t over `count` rows of v, `stride` apart: `vectors` vectors of n floats each. */
INLINE void decode_average(const float *p, const float *v, int64_t count, int64_t stride,
                           const int vectors, int64_t n, float *y) {
    vf sum[4];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = v_load_part(y + j * LANES, n);
    for (int64_t t = 0; t < count; t++, v += stride) {
        vf weight = v_set1(p[t]);
        UNROLL for (int j = 0; j < vectors; j++)
            sum[j] = v_fma(weight, v_load_part(v + j * LANES, n), sum[j]);
    }
    UNROLL for (int j = 0; j < vectors; j++) v_store_part(y + j * LANES, sum[j], n);
}

/* Likewise, all D numbers of a head. */
static void decode_average_head(const float *p, const float *v, int64_t count, int64_t stride,
                                int64_t D, float *y) {
    int64_t i = 0;
    for (; i + 4 * LANES <= D; i += 4 * LANES)
        decode_average(p, v + i, count, stride, 4, LANES, y + i);
    for (; i < D; i += LANES)
        decode_average(p, v + i, count, stride, 1, D - i < LANES ? D - i : LANES, y + i);
}

enum { DECODE_QUERIES = 3 }; /* queries of a key head that share each read of it */

/* Of each of `count` queries q (count, D), its products with one key k (D), added lane by lane: a
 * vector each in part (count, LANES, LANES). In float_dots's order, so with its sums. */
INLINE void decode_products(const float *k, const float *q, int64_t D, const int count,
                            float *part) {
    vf even[DECODE_QUERIES], odd[DECODE_QUERIES];
    UNROLL for (int h = 0; h < count; h++) even[h] = odd[h] = v_zero();
    int64_t i = 0;
    for (; i + 2 * LANES <= D; i += 2 * LANES) {
        vf k0 = v_load(k + i), k1 = v_load(k + i + LANES);
        UNROLL for (int h = 0; h < count; h++) {
            even[h] = v_fma(k0, v_load(q + h * D + i), even[h]);
            odd[h] = v_fma(k1, v_load(q + h * D + i + LANES), odd[h]);
        }
    }
    for (; i < D; i += LANES) {
        const int64_t n = D - i < LANES ? D - i : LANES;
        vf some = v_load_part(k + i, n);
        UNROLL for (int h = 0; h < count; h++)
            even[h] = v_fma(some, v_load_part(q + h * D + i, n), even[h]);
    }
    UNROLL for (int h = 0; h < count; h++)
        v_store(part + h * LANES * LANES, v_add(even[h], odd[h]));
}

/* Of each of `count` sums y (count, D): += p v, with one value v (D) and p (count), `seen` apart. */
INLINE void decode_add(const float *v, const float *p, int64_t seen, int64_t D, const int count,
                       float *y) {
    vf weight[DECODE_QUERIES];
    int64_t i = 0;
    UNROLL for (int h = 0; h < count; h++) weight[h] = v_set1(p[h * seen]);
    for (; i + LANES <= D; i += LANES) {
        vf some = v_load(v + i);
        UNROLL for (int h = 0; h < count; h++)
            v_store(y + h * D + i, v_fma(weight[h], some, v_load(y + h * D + i)));
    }
    if (i == D) return;
    vf some = v_load_part(v + i, D - i);
    UNROLL for (int h = 0; h < count; h++) {
        vf sum = v_load_part(y + h * D + i, D - i);
        v_store_part(y + h * D + i, v_fma(weight[h], some, sum), D - i);
    }
}

/* A token's key and value, of one key head, into its sequence's ring. */
static void decode_store(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, stride = decode_keys(net);
    const int64_t place = s->slots[b] * net->places + s->positions[b] % net->places;
    const int64_t at = place * stride + kv * D;
    float *k = s->qkv + b * layer->qkv.n + decode_queries(net) + kv * D, *v = k + stride;
    decode_place(s, k, layer->k_norm, s->turns + b * 2 * net->pairs);
    memcpy(layer->keys + at, k, D * sizeof *k);
    memcpy(layer->values + at, v, D * sizeof *v);
}

/* Some key heads of a token, side by side, with their queries and those's sums (queries, D). */
typedef struct {
    int64_t kv_heads, group, queries, seen, stride, D;
    float *q, *y, *scores; /* scores (queries, seen), oldest first */
} decode_share;

/* Scores, from place `done` on, of `count` <= LANES positions with these keys. part: (queries,
 * LANES, LANES), where a query's products with each wait until they are added together. */
static void decode_score(const decode_share *a, const float *keys, int64_t count, int64_t done,
                         float *part) {
    const vf scale = v_set1(1 / sqrtf((float)a->D));
    float *scores = a->scores + done;
    for (int64_t h = 0; a->group == 1 && h < a->queries; h++) {
        vf some = float_dots(keys + h * a->D, a->stride, count, a->q + h * a->D, a->D);
        v_store_part(scores + h * a->seen, v_mul(scale, some), count);
    }
    if (a->group == 1) return;
    for (int64_t t = 0; t < count; t++)
        for (int64_t kv = 0; kv < a->kv_heads; kv++)
            for (int64_t i = 0; i < a->group; i += DECODE_QUERIES) {
                const int64_t h = kv * a->group + i, left = a->group - i;
                const float *k = keys + t * a->stride + kv * a->D, *q = a->q + h * a->D;
                float *to = part + (h * LANES + t) * LANES;
                if (left >= 3) decode_products(k, q, a->D, 3, to);
                if (left == 2) decode_products(k, q, a->D, 2, to);
                if (left == 1) decode_products(k, q, a->D, 1, to);
            }
    for (int64_t h = 0; h < a->queries; h++) {
        vf sum[LANES]; /* from `count` on whatever was there: it stays in lanes of its own */
        for (int t = 0; t < LANES; t++) sum[t] = v_load(part + (h * LANES + t) * LANES);
        v_transpose(sum);
        UNROLL for (int t = 1; t < LANES; t++) sum[0] = v_add(sum[0], sum[t]);
        v_store_part(scores + h * a->seen, v_mul(scale, sum[0]), count);
    }
}

/* y += these values of `count` positions, each times its weight, which is where its score was. */
static void decode_gather(const decode_share *a, const float *values, int64_t count, int64_t done) {
    const float *weights = a->scores + done;
    for (int64_t h = 0; a->group == 1 && h < a->queries; h++)
        decode_average_head(weights + h * a->seen, values + h * a->D, count, a->stride, a->D,
                            a->y + h * a->D);
    if (a->group == 1) return;
    for (int64_t t = 0; t < count; t++)
        for (int64_t kv = 0; kv < a->kv_heads; kv++)
            for (int64_t i = 0; i < a->group; i += DECODE_QUERIES) {
                const int64_t h = kv * a->group + i, left = a->group - i;
                const float *v = values + t * a->stride + kv * a->D;
                const float *p = weights + h * a->seen + t;
                float *y = a->y + h * a->D;
                if (left >= 3) decode_add(v, p, a->seen, a->D, 3, y);
                if (left == 2) decode_add(v, p, a->seen, a->D, 2, y);
                if (left == 1) decode_add(v, p, a->seen, a->D, 1, y);
            }
}

/* Attention of token b's key heads [begin, end).
 *
 * Keys of one position lie side by side for all key heads. So all heads look at a few positions
 * before any looks at the next: memory is read about in order, and not once for each head in steps
 * of a position. Where several queries share a key head, a position's keys are read exactly in order,
 * each once: a core then fetches ahead at twice the rate. (A key head for each query makes too many
 * sums of that: where its keys are in the cache it takes up to 1.7 times as long.) */
static void decode_attend(const decode_state *s, const decode_layer *layer, int64_t b,
                          int64_t begin, int64_t end) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, first = begin * group;
    const decode_span span = decode_seen(net, s->positions[b]);
    const decode_share a = {end - begin, group, (end - begin) * group, span.seen, decode_keys(net),
                            D, s->qkv + b * layer->qkv.n + first * D,
                            s->attended + b * decode_queries(net) + first * D, s->scores};
    const float *keys = layer->keys + s->slots[b] * net->places * a.stride + begin * D;
    const float *values = layer->values + (keys - layer->keys);
    for (int64_t h = 0; h < a.queries; h++)
        decode_place(s, a.q + h * D, layer->q_norm, s->turns + b * 2 * net->pairs);
    for (int run = 0, done = 0; run < 2; done += span.count[run++])
        for (int64_t t = 0; t < span.count[run]; t += LANES)
            decode_score(&a, keys + (span.first[run] + t) * a.stride,
                         decode_smaller(span.count[run] - t, LANES), done + t, s->part);
    for (int64_t h = 0; h < a.queries; h++) {
        const float *bias = net->bias ? net->bias + (first + h) * net->distances : 0;
        float *p = a.scores + h * a.seen;
        for (int64_t t = 0; bias && t < a.seen; t++) p[t] += bias[a.seen - 1 - t];
        softmax_row(p, p, a.seen);
    }
    memset(a.y, 0, a.queries * D * sizeof *a.y);
    for (int run = 0, done = 0; run < 2; done += span.count[run++])
        for (int64_t t = 0; t < span.count[run]; t += LANES)
            decode_gather(&a, values + (span.first[run] + t) * a.stride,
                          decode_smaller(span.count[run] - t, LANES), done + t);
}

/* All heads of all tokens, a phase that does either or both. A unit is one thread's share of a
 * token's key heads; with many tokens, all of them, so that a thread reads whole positions one behind
 * the other. */
static void decode_heads(decode_state *s, const decode_layer *layer, int store, int attend) {
    const int64_t kv_heads = s->net->kv_heads;
    const int64_t parts = kv_heads < s->threads ? kv_heads : s->threads;
    const int64_t shares = s->batch < 2 * s->threads ? parts : 1;
    const int64_t units = s->batch * shares;
    int64_t begin, end;
    while (decode_claim(s, units, &begin, &end)) {
        for (int64_t unit = begin; unit < end; unit++) {
            const int64_t b = unit / shares, share = unit % shares;
            const int64_t first = kv_heads * share / shares, last = kv_heads * (share + 1) / shares;
            for (int64_t kv = first; store && kv < last; kv++) decode_store(s, layer, b, kv);
            if (attend) decode_attend(s, layer, b, first, last);
        }
        decode_done(s, end - begin);
    }
    decode_next(s, units);
}

/* Tokens of one sequence see each other's keys, so that all are stored before any is looked at. */
static void decode_attention(decode_state *s, const decode_layer *layer) {
    if (s->pieces) {
        decode_heads(s, layer, 1, 0);
        decode_heads(s, layer, 0, 1);
    } else
        decode_heads(s, layer, 1, 1);
}
