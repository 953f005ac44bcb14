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

/* y = sum_t p_t v_t, `vectors` vectors of n floats each; rows of v are `stride` apart. */
INLINE void decode_average(const float *p, const float *v, const decode_span *span, int64_t stride,
                           const int vectors, int64_t n, float *y) {
    vf sum[4];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = v_zero();
    for (int run = 0; run < 2; run++) {
        const float *row = v + span->first[run] * stride;
        for (int64_t t = 0; t < span->count[run]; t++, row += stride) {
            vf weight = v_set1(*p++);
            UNROLL for (int j = 0; j < vectors; j++)
                sum[j] = v_fma(weight, v_load_part(row + j * LANES, n), sum[j]);
        }
    }
    UNROLL for (int j = 0; j < vectors; j++) v_store_part(y + j * LANES, sum[j], n);
}

/* scores = q . k_t / sqrt(D), oldest first. */
static void decode_scores(const decode_state *s, const float *q, const float *keys,
                          const decode_span *span, int64_t stride) {
    const int64_t D = s->net->head_dim;
    const vf scale = v_set1(1 / sqrtf((float)D));
    float *scores = s->scores;
    for (int run = 0; run < 2; run++) {
        const float *row = keys + span->first[run] * stride;
        for (int64_t t = 0; t < span->count[run]; t += LANES) {
            int64_t left = span->count[run] - t;
            vf some = v_mul(scale, float_dots(row + t * stride, stride, left, q, D));
            v_store_part(scores + t, some, left < LANES ? left : LANES);
        }
        scores += span->count[run];
    }
}

/* y = sum_t p_t v_t, p = softmax(q . k_t / sqrt(D) + bias): one head of one sequence. Rows of keys and
 * values are `stride` apart; bias: by distance, or NULL. */
static void decode_head(const decode_state *s, const float *q, const float *keys,
                        const float *values, const decode_span *span, int64_t stride,
                        const float *bias, float *y) {
    const int64_t D = s->net->head_dim;
    float *p = s->scores;
    decode_scores(s, q, keys, span, stride);
    for (int64_t t = 0; bias && t < span->seen; t++) p[t] += bias[span->seen - 1 - t];
    softmax_row(p, p, span->seen);
    int64_t i = 0;
    for (; i + 4 * LANES <= D; i += 4 * LANES)
        decode_average(p, values + i, span, stride, 4, LANES, y + i);
    for (; i < D; i += LANES)
        decode_average(p, values + i, span, stride, 1, D - i < LANES ? D - i : LANES, y + i);
}

/* Where the keys (or values) of a token's sequence begin, of one key head. */
static int64_t decode_at(const decode_state *s, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    return s->slots[b] * net->places * decode_keys(net) + kv * net->head_dim;
}

/* A token's key and value, of one key head, into its sequence's ring. */
static void decode_store(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, stride = decode_keys(net);
    const int64_t at = decode_at(s, b, kv) + s->positions[b] % net->places * stride;
    float *k = s->qkv + b * layer->qkv.n + decode_queries(net) + kv * D, *v = k + stride;
    decode_place(s, k, layer->k_norm, s->turns + b * 2 * net->pairs);
    memcpy(layer->keys + at, k, D * sizeof *k);
    memcpy(layer->values + at, v, D * sizeof *v);
}

/* The heads of a token that share a key head. */
static void decode_attend(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, stride = decode_keys(net);
    const decode_span span = decode_seen(net, s->positions[b]);
    const float *keys = layer->keys + decode_at(s, b, kv);
    const float *values = layer->values + decode_at(s, b, kv);
    const float *turns = s->turns + b * 2 * net->pairs;
    float *q = s->qkv + b * layer->qkv.n + kv * group * D;
    float *y = s->attended + b * decode_queries(net) + kv * group * D;
    for (int64_t h = 0; h < group; h++) {
        const float *bias = net->bias ? net->bias + (kv * group + h) * net->distances : 0;
        decode_place(s, q + h * D, layer->q_norm, turns);
        decode_head(s, q + h * D, keys, values, &span, stride, bias, y + h * D);
    }
}

/* All heads of all tokens, a phase that does either or both. */
static void decode_heads(decode_state *s, const decode_layer *layer, int store, int attend) {
    const int64_t kv_heads = s->net->kv_heads, units = s->batch * kv_heads;
    int64_t begin, end;
    while (decode_claim(s, units, &begin, &end)) {
        for (int64_t unit = begin; unit < end; unit++) {
            if (store) decode_store(s, layer, unit / kv_heads, unit % kv_heads);
            if (attend) decode_attend(s, layer, unit / kv_heads, unit % kv_heads);
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
