/* One token's attention in decode.c: to the keys that its sequence's ring holds.
 *
 * Position p lies at place p mod places. So what a token sees, oldest first, is one run of places or,
 * where the ring has come round, two; scores and weights lie in a row of their own.
 */
#pragma once
#include "decode_heads.h"
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

/* y += sum_t p_t v_t over `count` heads v (D), `stride` bytes apart: of their numbers from `from` on
 * `vectors` vectors of n each. */
INLINE void decode_average(const float *p, const char *v, int64_t count, int64_t stride, int64_t D,
                           int64_t from, const int vectors, int64_t n, const int rounded,
                           float *y) {
    vf sum[4];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = v_load_part(y + from + j * LANES, n);
    for (int64_t t = 0; t < count; t++, v += stride) {
        vf weight = v_set1(rounded ? p[t] * head_scale(v, D, rounded) : p[t]);
        UNROLL for (int j = 0; j < vectors; j++)
            sum[j] = v_fma(weight, head_load(v, from + j * LANES, n, rounded), sum[j]);
    }
    UNROLL for (int j = 0; j < vectors; j++) v_store_part(y + from + j * LANES, sum[j], n);
}

/* Likewise, all D numbers. */
INLINE void decode_average_head(const float *p, const char *v, int64_t count, int64_t stride,
                                int64_t D, const int rounded, float *y) {
    int64_t i = 0;
    for (; i + 4 * LANES <= D; i += 4 * LANES)
        decode_average(p, v, count, stride, D, i, 4, LANES, rounded, y);
    for (; i < D; i += LANES)
        decode_average(p, v, count, stride, D, i, 1, D - i < LANES ? D - i : LANES, rounded, y);
}

enum { DECODE_QUERIES = 3 }; /* queries of a key head that share each read of it */

/* Of each of `count` queries q (count, D), its products with one key k (D), added lane by lane: a
 * vector each in part (count, LANES, LANES). In float_dots's order, so with its sums. */
INLINE void decode_products(const char *k, const float *q, int64_t D, const int count,
                            const int rounded, float *part) {
    const vf scale = v_set1(head_scale(k, D, rounded));
    vf even[DECODE_QUERIES], odd[DECODE_QUERIES];
    UNROLL for (int h = 0; h < count; h++) even[h] = odd[h] = v_zero();
    int64_t i = 0;
    for (; i + 2 * LANES <= D; i += 2 * LANES) {
        vf k0 = head_load(k, i, LANES, rounded), k1 = head_load(k, i + LANES, LANES, rounded);
        UNROLL for (int h = 0; h < count; h++) {
            even[h] = v_fma(k0, v_load(q + h * D + i), even[h]);
            odd[h] = v_fma(k1, v_load(q + h * D + i + LANES), odd[h]);
        }
    }
    for (; i < D; i += LANES) {
        const int64_t n = D - i < LANES ? D - i : LANES;
        vf some = head_load(k, i, n, rounded);
        UNROLL for (int h = 0; h < count; h++)
            even[h] = v_fma(some, v_load_part(q + h * D + i, n), even[h]);
    }
    UNROLL for (int h = 0; h < count; h++) {
        vf sum = v_add(even[h], odd[h]);
        v_store(part + h * LANES * LANES, rounded ? v_mul(sum, scale) : sum);
    }
}

/* Of each of `count` sums y (count, D): += p v, with one value v (D) and p (count), `seen` apart. */
INLINE void decode_add(const char *v, const float *p, int64_t seen, int64_t D, const int count,
                       const int rounded, float *y) {
    const float scale = head_scale(v, D, rounded);
    vf weight[DECODE_QUERIES];
    int64_t i = 0;
    UNROLL for (int h = 0; h < count; h++)
        weight[h] = v_set1(rounded ? p[h * seen] * scale : p[h * seen]);
    for (; i + LANES <= D; i += LANES) {
        vf some = head_load(v, i, LANES, rounded);
        UNROLL for (int h = 0; h < count; h++)
            v_store(y + h * D + i, v_fma(weight[h], some, v_load(y + h * D + i)));
    }
    if (i == D) return;
    vf some = head_load(v, i, D - i, rounded);
    UNROLL for (int h = 0; h < count; h++) {
        vf sum = v_load_part(y + h * D + i, D - i);
        v_store_part(y + h * D + i, v_fma(weight[h], some, sum), D - i);
    }
}

/* A token's key and value, of one key head, into its sequence's ring. */
static void decode_store(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim;
    const int64_t place = s->slots[b] * net->places + s->positions[b] % net->places;
    const int64_t at = (place * net->kv_heads + kv) * head_bytes(D, net->rounded);
    float *k = s->qkv + b * layer->qkv.n + decode_queries(net) + kv * D, *v = k + decode_keys(net);
    decode_place(s, k, layer->k_norm, s->turns + b * 2 * net->pairs);
    head_store(layer->keys + at, k, D, net->rounded);
    head_store(layer->values + at, v, D, net->rounded);
}

/* Some key heads of a token, side by side, with their queries and those's sums (queries, D). */
typedef struct {
    int64_t kv_heads, group, queries, seen, D;
    int64_t stride;        /* bytes from a position to the next */
    float *q, *y, *scores; /* scores (queries, seen), oldest first */
} decode_share;

/* Scores, from place `done` on, of `count` <= LANES positions with these keys. part: (queries,
 * LANES, LANES), where a query's products with each wait until they are added together. */
INLINE void decode_score(const decode_share *a, const char *keys, int64_t count, int64_t done,
                         const int rounded, float *part) {
    const vf scale = v_set1(1 / sqrtf((float)a->D));
    const int64_t head = head_bytes(a->D, rounded);
    float *scores = a->scores + done;
    if (rounded) heads_ahead(keys, a->stride);
    for (int64_t h = 0; a->group == 1 && h < a->queries; h++) {
        const char *k = keys + h * head;
        const float *q = a->q + h * a->D;
        vf some = rounded ? head_dots(k, a->stride, count, q, a->D)
                          : float_dots((const float *)k, a->stride / sizeof *q, count, q, a->D);
        v_store_part(scores + h * a->seen, v_mul(scale, some), count);
    }
    if (a->group == 1) return;
    for (int64_t t = 0; t < count; t++)
        for (int64_t kv = 0; kv < a->kv_heads; kv++)
            for (int64_t i = 0; i < a->group; i += DECODE_QUERIES) {
                const int64_t h = kv * a->group + i, left = a->group - i;
                const char *k = keys + t * a->stride + kv * head;
                const float *q = a->q + h * a->D;
                float *to = part + (h * LANES + t) * LANES;
                if (left >= 3) decode_products(k, q, a->D, 3, rounded, to);
                if (left == 2) decode_products(k, q, a->D, 2, rounded, to);
                if (left == 1) decode_products(k, q, a->D, 1, rounded, to);
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
INLINE void decode_gather(const decode_share *a, const char *values, int64_t count, int64_t done,
                          const int rounded) {
    const int64_t head = head_bytes(a->D, rounded);
    const float *weights = a->scores + done;
    if (rounded) heads_ahead(values, a->stride);
    for (int64_t h = 0; a->group == 1 && h < a->queries; h++)
        decode_average_head(weights + h * a->seen, values + h * head, count, a->stride, a->D,
                            rounded, a->y + h * a->D);
    if (a->group == 1) return;
    for (int64_t t = 0; t < count; t++)
        for (int64_t kv = 0; kv < a->kv_heads; kv++)
            for (int64_t i = 0; i < a->group; i += DECODE_QUERIES) {
                const int64_t h = kv * a->group + i, left = a->group - i;
                const char *v = values + t * a->stride + kv * head;
                const float *p = weights + h * a->seen + t;
                float *y = a->y + h * a->D;
                if (left >= 3) decode_add(v, p, a->seen, a->D, 3, rounded, y);
                if (left == 2) decode_add(v, p, a->seen, a->D, 2, rounded, y);
                if (left == 1) decode_add(v, p, a->seen, a->D, 1, rounded, y);
            }
}

/* Attention of token b's key heads [begin, end).
 *
 * Keys of one position lie side by side for all key heads. So all heads look at a few positions
 * before any looks at the next: memory is read about in order, and not once for each head in steps
 * of a position. Where several queries share a key head, a position's keys are read exactly in order,
 * each once: a core then fetches ahead at twice the rate. (A key head for each query makes too many
 * sums of that: where its keys are in the cache it takes up to 1.7 times as long.)  rounded: the
 * network's. */
INLINE void decode_attend(const decode_state *s, const decode_layer *layer, int64_t b,
                          int64_t begin, int64_t end, const int rounded) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, first = begin * group;
    const decode_span span = decode_seen(net, s->positions[b]);
    const int64_t head = head_bytes(D, rounded), stride = net->kv_heads * head;
    const decode_share a = {end - begin, group, (end - begin) * group, span.seen, D,
                            stride, s->qkv + b * layer->qkv.n + first * D,
                            s->attended + b * decode_queries(net) + first * D, s->scores};
    const int64_t ring = s->slots[b] * net->places * stride + begin * head;
    const char *keys = layer->keys + ring, *values = layer->values + ring;
    for (int64_t h = 0; h < a.queries; h++)
        decode_place(s, a.q + h * D, layer->q_norm, s->turns + b * 2 * net->pairs);
    for (int run = 0, done = 0; run < 2; done += span.count[run++])
        for (int64_t t = 0; t < span.count[run]; t += LANES)
            decode_score(&a, keys + (span.first[run] + t) * a.stride,
                         decode_smaller(span.count[run] - t, LANES), done + t, rounded, s->part);
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
                          decode_smaller(span.count[run] - t, LANES), done + t, rounded);
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
            if (attend && s->net->rounded) decode_attend(s, layer, b, first, last, 1);
            if (attend && !s->net->rounded) decode_attend(s, layer, b, first, last, 0);
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
