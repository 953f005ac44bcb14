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

/* Some of a token's heads, [begin, end), with their queries q and sums y (heads, D).
 *
 * Keys of one position lie side by side for all key heads. So all heads look at a few positions
 * before any looks at the next: memory is read in order, and not once for each head in steps of a
 * position, which would wait for most of them. */
static void decode_attend(const decode_state *s, const decode_layer *layer, int64_t b,
                          int64_t begin, int64_t end) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, stride = decode_keys(net);
    const decode_span span = decode_seen(net, s->positions[b]);
    const int64_t at = s->slots[b] * net->places * stride;
    const float *turns = s->turns + b * 2 * net->pairs;
    const vf scale = v_set1(1 / sqrtf((float)D));
    float *q = s->qkv + b * layer->qkv.n, *y = s->attended + b * decode_queries(net);
    float *scores = s->scores; /* (end - begin, seen), oldest first */
    for (int64_t h = begin; h < end; h++) decode_place(s, q + h * D, layer->q_norm, turns);
    for (int run = 0, done = 0; run < 2; done += span.count[run++])
        for (int64_t t = 0; t < span.count[run]; t += LANES) {
            const float *keys = layer->keys + at + (span.first[run] + t) * stride;
            const int64_t left = span.count[run] - t;
            for (int64_t h = begin; h < end; h++) {
                vf some = float_dots(keys + h / group * D, stride, left, q + h * D, D);
                v_store_part(scores + (h - begin) * span.seen + done + t, v_mul(scale, some),
                             left < LANES ? left : LANES);
            }
        }
    for (int64_t h = begin; h < end; h++) {
        const float *bias = net->bias ? net->bias + h * net->distances : 0;
        float *p = scores + (h - begin) * span.seen;
        for (int64_t t = 0; bias && t < span.seen; t++) p[t] += bias[span.seen - 1 - t];
        softmax_row(p, p, span.seen);
    }
    memset(y + begin * D, 0, (end - begin) * D * sizeof *y);
    for (int run = 0, done = 0; run < 2; done += span.count[run++])
        for (int64_t t = 0; t < span.count[run]; t += LANES) {
            const float *values = layer->values + at + (span.first[run] + t) * stride;
            const int64_t left = span.count[run] - t, count = left < LANES ? left : LANES;
            for (int64_t h = begin; h < end; h++)
                decode_average_head(scores + (h - begin) * span.seen + done + t,
                                    values + h / group * D, count, stride, D, y + h * D);
        }
}

/* All heads of all tokens, a phase that does either or both. A unit is one thread's share of a
 * token's key heads. */
static void decode_heads(decode_state *s, const decode_layer *layer, int store, int attend) {
    const int64_t kv_heads = s->net->kv_heads, group = s->net->heads / kv_heads;
    const int64_t shares = kv_heads < s->threads ? kv_heads : s->threads;
    const int64_t units = s->batch * shares;
    int64_t begin, end;
    while (decode_claim(s, units, &begin, &end)) {
        for (int64_t unit = begin; unit < end; unit++) {
            const int64_t b = unit / shares, share = unit % shares;
            const int64_t first = kv_heads * share / shares, last = kv_heads * (share + 1) / shares;
            for (int64_t kv = first; store && kv < last; kv++) decode_store(s, layer, b, kv);
            if (attend) decode_attend(s, layer, b, first * group, last * group);
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
