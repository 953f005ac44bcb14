/* One token through the whole network in one call: numpy_ref/decode.py says what it computes.
 *
 * A token costs two operations for each weight, so a step is as fast as the weights can be read.
 * What is in the way of that is everything else: calls, allocation, waking threads, waiting. So the
 * team is woken once, and its threads walk through the phases of all layers together:
 *
 *     norm1 -> qkv | attention | proj + stream | norm2 -> up | gate -> down + stream
 *
 * Post-norm has two phases more, in which the stream itself is normed; a soft cap of the logits is
 * one. What a network may lack is a NULL pointer that a phase asks for once for each unit or panel.
 *
 * A phase is a number of units: panels of 16 outputs, or key heads. A thread claims units of its own
 * share first, the same ones for every token, because its core's cache may still hold them; then
 * what is left of the others' shares. The phase is over when its units are done, not when every
 * thread has come by: one that the system has put aside for another program holds nobody up, as it
 * would at a barrier. Norms, gates and the rounding of activations to bytes are so small that each
 * thread does them for itself, after its first claim: until that is done nobody can be a phase ahead
 * and change what it reads. Each output is computed by one thread in a fixed order, so the logits do not
 * depend on the number of threads.
 *
 * Shapes: B sequences, C channels, H heads of D on Hkv key heads, F the MLP's width, R rotary pairs.
 * keys and values of a layer: (B, places, Hkv, D), rings: position p lies at place p mod places.
 * scratch: decode_scratch() floats. No weight is copied or written.
 */
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

enum { DECODE_GRAINS = 4 }; /* claims in which a thread takes its share */

/* A step over fewer weights than this, counted once for each sequence, stays on the calling thread.
 * Two threads are 1.3 to 2.3 times as fast from 2.7 million weights on, in any scheme, and slower at
 * 0.8 million (bench/LOG.md). While another program keeps one of the two cores busy, they are half as fast
 * as one: still 1500 tokens/s for those 2.7 million. */
#define DECODE_TEAM_WEIGHTS 2e6

/* A count that threads change, alone in its cache line. */
typedef struct {
    int64_t count, padding[7];
} decode_counter;

/* What one thread sees: its place in the team, the shared activations, and its own. */
typedef struct {
    const decode_network *net;
    const int64_t *positions; /* (B) */
    int64_t batch, thread, threads;
    decode_counter *phase;                   /* of this phase: units done, then claims by share */
    float *stream, *qkv, *attended, *hidden; /* shared: (B, C), (B, .), (B, H D), (B, F or 2 F) */
    float *turns;                            /* shared: (B, 2, R), cosines and sines */
    float *ready, *scores, *rows;            /* own: (B, C or F); (places); (B, padded), scales */
} decode_state;

/* What a product reads: x (B, k); or the norm of the stream; or, of x (B, 2 k), act of the first half
 * of a row times the second. */
typedef struct {
    const float *x;
    const decode_norm *norm;
    int gated;
} decode_input;

static double decode_size(const decode_matrix *m) { return (double)m->n * m->k; }

static double decode_weights(const decode_network *net) {
    double total = decode_size(&net->head);
    for (const decode_layer *l = net->layer; l < net->layer + net->layers; l++)
        total += decode_size(&l->qkv) + decode_size(&l->proj) + decode_size(&l->up) +
                 decode_size(&l->down);
    return total;
}

static int64_t decode_phases(const decode_network *net) { return 7 * net->layers + 4; }

static int64_t decode_queries(const decode_network *net) { return net->heads * net->head_dim; }

static int64_t decode_keys(const decode_network *net) { return net->kv_heads * net->head_dim; }

static int64_t decode_larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t decode_counters(const decode_network *net, int64_t threads) {
    return decode_phases(net) * (1 + threads); /* of 64 bytes */
}

static int64_t decode_widest(const decode_network *net) {
    int64_t inner = decode_larger(net->width, decode_larger(net->hidden, decode_queries(net)));
    return round_up(inner, NF4_GROUP);
}

/* Floats of a row that a thread makes ready for a product. */
static int64_t decode_inner(const decode_network *net) {
    return decode_larger(net->width, net->gated ? net->hidden / 2 : 0);
}

static int64_t decode_own(const decode_network *net, int64_t batch) {
    int64_t widest = decode_widest(net), row = decode_inner(net) + widest + widest / 32 + 1;
    return round_up(batch * row + net->places, LANES);
}

static int64_t decode_shared(const decode_network *net, int64_t batch) {
    int64_t qkv = decode_queries(net) + 2 * decode_keys(net);
    int64_t row = net->width + qkv + decode_queries(net) + net->hidden + 2 * net->pairs;
    return round_up(batch * row, LANES);
}

int64_t decode_scratch(const void *network, int64_t batch, int64_t threads) {
    const decode_network *net = network;
    return 16 * (1 + decode_counters(net, threads)) + decode_shared(net, batch) +
           threads * decode_own(net, batch);
}

/* Take some units [*begin, *end) of the phase's `units`; 0 if none is left. */
static int decode_claim(const decode_state *s, int64_t units, int64_t *begin, int64_t *end) {
    const int64_t grain = 1 + (units - 1) / (DECODE_GRAINS * s->threads);
    for (int64_t i = 0; i < s->threads; i++) {
        int64_t owner = (s->thread + i) % s->threads;
        int64_t first = units * owner / s->threads, last = units * (owner + 1) / s->threads;
        *begin = first + atomic_add(&s->phase[1 + owner].count, grain);
        *end = *begin + grain < last ? *begin + grain : last;
        if (*begin < last) return 1;
    }
    return 0;
}

static void decode_done(const decode_state *s, int64_t units) {
    atomic_add(&s->phase->count, units);
}

/* Wait for units that others still work on; the next phase begins. */
static void decode_next(decode_state *s, int64_t units) {
    for (int64_t tries = 0; atomic_read(&s->phase->count) < units; tries++) wait_a_moment(tries);
    s->phase += 1 + s->threads;
}

enum { DOT_ROWS = 4 };

/* x times LANES rows of W, `stride` floats apart: four rows together, which share each load of x and
 * whose successors are fetched meanwhile. Beyond `rows` the first row is read instead. */
INLINE vf float_dots(const float *w, int64_t stride, int64_t rows, const float *x, int64_t k) {
    vf sum[LANES];
    for (int first = 0; first < LANES; first += DOT_ROWS) {
        const float *row[DOT_ROWS];
        vf even[DOT_ROWS], odd[DOT_ROWS]; /* vectors: eight sums, none waits for the one before */
        UNROLL for (int r = 0; r < DOT_ROWS; r++) {
            row[r] = w + (first + r < rows ? first + r : 0) * stride;
            even[r] = odd[r] = v_zero();
        }
        int64_t i = 0;
        for (; i + 2 * LANES <= k; i += 2 * LANES) {
            vf x0 = v_load(x + i), x1 = v_load(x + i + LANES);
            UNROLL for (int r = 0; r < DOT_ROWS; r++) {
                prefetch(row[r] + i + DOT_ROWS * stride);
                even[r] = v_fma(v_load(row[r] + i), x0, even[r]);
                odd[r] = v_fma(v_load(row[r] + i + LANES), x1, odd[r]);
            }
        }
        for (; i < k; i += LANES) {
            int64_t n = k - i < LANES ? k - i : LANES;
            vf some = v_load_part(x + i, n);
            UNROLL for (int r = 0; r < DOT_ROWS; r++)
                even[r] = v_fma(v_load_part(row[r] + i, n), some, even[r]);
        }
        UNROLL for (int r = 0; r < DOT_ROWS; r++) sum[first + r] = v_add(even[r], odd[r]);
    }
    v_transpose(sum);
    UNROLL for (int r = 1; r < LANES; r++) sum[0] = v_add(sum[0], sum[r]);
    return sum[0];
}

static void float_panel(const float *w, const float *x, int64_t batch, int64_t k, int64_t panel,
                        const panel_epilogue *e) {
    int64_t left = e->n - panel * PANEL;
    w += panel * PANEL * k;
    for (int64_t row = 0; row < batch; row++) { /* beyond the first from the cache */
        vf y[PANEL_VECTORS];
        for (int i = 0; i < PANEL_VECTORS && i * LANES < left; i++)
            y[i] = float_dots(w + i * LANES * k, k, left - i * LANES, x + row * k, k);
        panel_finish(y, e, row, panel);
    }
}

/* Round x (B, k) to bytes, or lengthen it, as the scheme wants it; returns what to multiply. */
static const float *decode_prepare(const decode_state *s, const decode_matrix *m, const float *x,
                                   int64_t padded, int32_t *sums, int8_t *q) {
    for (int64_t b = 0; b < s->batch; b++) {
        const float *row = x + b * m->k;
        if (m->scheme == INT8)
            quantize_row_int8(row, q + b * ready_bytes(m->k), s->rows + b, m->k);
        if (m->scheme == INT4)
            quantize_row_int4(row, q + b * padded, s->rows + b, m->k, padded,
                              sums + b * (padded / INT4_GROUP));
        if (m->scheme == NF4 && padded != m->k) {
            memcpy(s->rows + b * padded, row, m->k * sizeof *row);
            memset(s->rows + b * padded + m->k, 0, (padded - m->k) * sizeof *row);
        }
    }
    return m->scheme == NF4 && padded != m->k ? s->rows : x;
}

/* y = norm(x), one row; y may be x. */
static void decode_norm_row(const decode_network *net, const decode_norm *norm, float *x, float *y) {
    float mean, rstd;
    if (net->rms)
        rmsnorm_forward(x, 0, norm->weight, net->eps, x, y, &rstd, 1, net->width);
    else
        layernorm_forward(x, 0, norm->weight, norm->bias, net->eps, x, y, &mean, &rstd, 1,
                          net->width);
}

/* y = act(x) x', one row of n; x' lies n behind x. */
static void decode_gate_row(int kind, const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t count = n - i < LANES ? n - i : LANES;
        v_store_part(y + i, v_activate_at(kind, n, x + i, count), count);
    }
}

/* The rows (B, k) of an input: every thread for itself. */
static const float *decode_read(const decode_state *s, const decode_input *in, int64_t k) {
    if (!in->norm && !in->gated) return in->x;
    for (int64_t b = 0; b < s->batch; b++) {
        if (in->norm)
            decode_norm_row(s->net, in->norm, s->stream + b * k, s->ready + b * k);
        else
            decode_gate_row((int)s->net->activation, in->x + b * 2 * k, s->ready + b * k, k);
    }
    return s->ready;
}

/* y = act(x W^T + bias) + residual, a phase; the matrix adds its rows and its bias to `epilogue`. */
static void decode_matmul(decode_state *s, const decode_matrix *m, decode_input in,
                          panel_epilogue epilogue) {
    epilogue.n = m->n;
    epilogue.bias = m->bias;
    const int64_t padded = round_up(m->k, m->scheme == INT4 ? INT4_GROUP : NF4_GROUP);
    int32_t *sums = (int32_t *)(s->rows + s->batch);
    int8_t *q = (int8_t *)(sums + s->batch * (padded / INT4_GROUP));
    const float *ready = 0;
    int64_t begin, end;
    while (decode_claim(s, panel_count(m->n), &begin, &end)) {
        if (!ready) ready = decode_prepare(s, m, decode_read(s, &in, m->k), padded, sums, q);
        for (int64_t panel = begin; panel < end; panel++) {
            if (m->scheme == FLOATS) float_panel(m->codes, ready, s->batch, m->k, panel, &epilogue);
            for (int64_t b = 0; m->scheme == INT8 && b < s->batch; b++)
                int8_linear_panel(q, m->k, s->rows, m->codes, m->scale, m->offset, b, panel, 1,
                                  &epilogue);
            for (int64_t b = 0; m->scheme == INT4 && b < s->batch; b++)
                int4_linear_panel(q, padded, s->rows, sums, m->codes, m->scale, b, panel, 1,
                                  &epilogue);
            for (int64_t b = 0; m->scheme == NF4 && b < s->batch; b++)
                nf4_linear_panel(ready, padded, m->codes, m->scale, s->net->levels, b, panel, 1,
                                 &epilogue);
        }
        decode_done(s, end - begin);
    }
    decode_next(s, panel_count(m->n));
}

/* y = row `id` of a matrix. */
static void decode_row(const decode_matrix *m, const float *levels, int64_t id, float *y) {
    if (m->scheme == FLOATS)
        memcpy(y, (const float *)m->codes + id * m->k, m->k * sizeof *y);
    else
        packed_row(m->scheme, m->codes, m->scale, levels, id, m->k, y);
}

/* turns = cosines and sines of a position's angles. In double: at position 100,000 an angle in single
 * is off by 0.004. */
static void decode_turns(const decode_network *net, int64_t position, float *turns) {
    for (int64_t i = 0; i < net->pairs; i++) {
        const double angle = (double)position * net->rates[i];
        turns[i] = (float)cos(angle);
        turns[net->pairs + i] = (float)sin(angle);
    }
}

/* stream = token[id] + position, and the turns of the positions, a phase. */
static void decode_embed(decode_state *s, const int64_t *ids) {
    const int64_t C = s->net->width;
    int64_t begin, end;
    while (decode_claim(s, s->batch, &begin, &end)) {
        for (int64_t b = begin; b < end; b++) {
            float *x = s->stream + b * C;
            decode_row(&s->net->token, s->net->levels, ids[b], x);
            decode_turns(s->net, s->positions[b], s->turns + b * 2 * s->net->pairs);
            if (!s->net->position) continue;
            const float *p = s->net->position + s->positions[b] * C;
            for (int64_t i = 0; i < C; i++) x[i] += p[i];
        }
        decode_done(s, end - begin);
    }
    decode_next(s, s->batch);
}

/* stream = norm(stream), a phase of post-norm alone. */
static void decode_settle(decode_state *s, const decode_norm *norm) {
    const int64_t C = s->net->width;
    int64_t begin, end;
    if (!s->net->post) return;
    while (decode_claim(s, s->batch, &begin, &end)) {
        for (int64_t b = begin; b < end; b++)
            decode_norm_row(s->net, norm, s->stream + b * C, s->stream + b * C);
        decode_done(s, end - begin);
    }
    decode_next(s, s->batch);
}

/* logits = cap tanh(logits / cap), a phase if there is a cap. */
static void decode_cap(decode_state *s, float *logits) {
    const int64_t n = s->net->head.n, units = panel_count(n);
    const float cap = s->net->softcap;
    int64_t begin, end;
    if (!cap) return;
    while (decode_claim(s, units, &begin, &end)) {
        const int64_t last = end * PANEL < n ? end * PANEL : n;
        for (int64_t b = 0; b < s->batch; b++)
            for (int64_t i = b * n + begin * PANEL; i < b * n + last; i++)
                logits[i] = cap * tanhf(logits[i] / cap);
        decode_done(s, end - begin);
    }
    decode_next(s, units);
}

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
    if (norm) rmsnorm_forward(x, 0, norm, s->net->eps, x, x, &rstd, 1, D);
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
    softmax_forward(p, p, 1, span->seen);
    int64_t i = 0;
    for (; i + 4 * LANES <= D; i += 4 * LANES)
        decode_average(p, values + i, span, stride, 4, LANES, y + i);
    for (; i < D; i += LANES)
        decode_average(p, values + i, span, stride, 1, D - i < LANES ? D - i : LANES, y + i);
}

/* A key head of one sequence and the heads that share it: its new key and value are stored first. */
static void decode_group(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, stride = decode_keys(net);
    const int64_t at = b * net->places * stride + kv * D;
    const int64_t place = s->positions[b] % net->places;
    const decode_span span = decode_seen(net, s->positions[b]);
    float *qkv = s->qkv + b * layer->qkv.n, *q = qkv + kv * group * D;
    float *k = qkv + decode_queries(net) + kv * D, *keys = layer->keys + at;
    float *v = k + stride, *values = layer->values + at;
    const float *turns = s->turns + b * 2 * net->pairs;
    decode_place(s, k, layer->k_norm, turns);
    memcpy(keys + place * stride, k, D * sizeof *k);
    memcpy(values + place * stride, v, D * sizeof *v);
    float *y = s->attended + b * decode_queries(net) + kv * group * D;
    for (int64_t h = 0; h < group; h++) {
        const float *bias = net->bias ? net->bias + (kv * group + h) * net->distances : 0;
        decode_place(s, q + h * D, layer->q_norm, turns);
        decode_head(s, q + h * D, keys, values, &span, stride, bias, y + h * D);
    }
}

/* All heads of all sequences, a phase. */
static void decode_attention(decode_state *s, const decode_layer *layer) {
    const int64_t units = s->batch * s->net->kv_heads;
    int64_t begin, end;
    while (decode_claim(s, units, &begin, &end)) {
        for (int64_t unit = begin; unit < end; unit++)
            decode_group(s, layer, unit / s->net->kv_heads, unit % s->net->kv_heads);
        decode_done(s, end - begin);
    }
    decode_next(s, units);
}

/* The stream, through a norm unless the network norms after adding. */
static decode_input decode_normed(const decode_state *s, const decode_norm *norm) {
    return (decode_input){.x = s->stream, .norm = s->net->post ? 0 : norm};
}

static void decode_layers(decode_state *s, float *logits) {
    const decode_network *net = s->net;
    const panel_epilogue to_stream = {.y = s->stream, .residual = s->stream};
    const panel_epilogue to_hidden = {
        .y = s->hidden, .output_activation = net->gated ? 0 : net->activation};
    decode_settle(s, &net->norm);
    for (const decode_layer *l = net->layer; l < net->layer + net->layers; l++) {
        decode_matmul(s, &l->qkv, decode_normed(s, &l->norm1), (panel_epilogue){.y = s->qkv});
        decode_attention(s, l);
        decode_matmul(s, &l->proj, (decode_input){.x = s->attended}, to_stream);
        decode_settle(s, &l->norm1);
        decode_matmul(s, &l->up, decode_normed(s, &l->norm2), to_hidden);
        decode_matmul(s, &l->down, (decode_input){.x = s->hidden, .gated = net->gated}, to_stream);
        decode_settle(s, &l->norm2);
    }
    decode_matmul(s, &net->head, decode_normed(s, &net->norm), (panel_epilogue){.y = logits});
    decode_cap(s, logits);
}

void decode_step(const void *network, const int64_t *ids, const int64_t *positions, int64_t batch,
                 float *logits, float *scratch) {
    const decode_network *net = network;
    const double work = batch * decode_weights(net) < DECODE_TEAM_WEIGHTS ? 0 : 1e9;
    decode_counter *counters = (decode_counter *)round_up((int64_t)scratch, 64);
    memset(counters, 0, decode_counters(net, team_for(work)) * sizeof *counters);
    float *shared = (float *)(counters + decode_counters(net, team_for(work)));
    PARALLEL_REGION(work) {
        decode_state s = {net, positions, batch, thread_index(), thread_count(), counters, shared};
        s.qkv = s.stream + batch * net->width;
        s.attended = s.qkv + batch * (decode_queries(net) + 2 * decode_keys(net));
        s.hidden = s.attended + batch * decode_queries(net);
        s.turns = s.hidden + batch * net->hidden;
        s.ready = shared + decode_shared(net, batch) + s.thread * decode_own(net, batch);
        s.scores = s.ready + batch * decode_inner(net);
        s.rows = s.scores + net->places;
        decode_embed(&s, ids);
        decode_layers(&s, logits);
    }
}
