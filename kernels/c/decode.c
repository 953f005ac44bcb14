/* One token through the whole network in one call: numpy_ref/decode.py says what it computes.
 *
 * A token costs two operations for each weight, so a step is as fast as the weights can be read.
 * What is in the way of that is everything else: calls, allocation, waking threads, waiting. So the
 * team is woken once, and its threads walk through the phases of all layers together:
 *
 *     norm1 -> qkv | attention | proj + stream | norm2 -> gate | norm2 -> up | down + stream
 *
 * A network without a gate has a phase less. What else it may lack is a NULL pointer that a phase
 * asks for once for each unit or panel.
 *
 * A phase is a number of units: panels of 16 outputs, or key heads. A thread claims units of its own
 * share first, the same ones for every token, because its core's cache may still hold them; then
 * what is left of the others' shares. The phase is over when its units are done, not when every
 * thread has come by: one that the system has put aside for another program holds nobody up, as it
 * would at a barrier. Norms and the rounding of activations to bytes are so small that each thread
 * does them for itself, after its first claim: until that is done nobody can be a phase ahead and
 * change what it reads. Each output is computed by one thread in a fixed order, so the logits do not
 * depend on the number of threads.
 *
 * Shapes: B sequences, C channels, H heads of D on Hkv key heads, F the MLP's width. keys and values
 * of a layer: (B, context, Hkv, D). scratch: decode_scratch() floats. No weight is copied or written.
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
    float *stream, *qkv, *attended, *hidden; /* shared: (B, C), (B, .), (B, H D), (B, F) */
    float *normal, *scores, *rows;           /* own: (B, C); (context); (B, padded) and scales */
} decode_state;

static double decode_size(const decode_matrix *m) { return (double)m->n * m->k; }

static double decode_weights(const decode_network *net) {
    double total = decode_size(&net->head);
    for (const decode_layer *l = net->layer; l < net->layer + net->layers; l++)
        total += decode_size(&l->qkv) + decode_size(&l->proj) + decode_size(&l->gate) +
                 decode_size(&l->up) + decode_size(&l->down);
    return total;
}

static int64_t decode_phases(const decode_network *net) { return 6 * net->layers + 2; }

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

static int64_t decode_own(const decode_network *net, int64_t batch) {
    int64_t widest = decode_widest(net);
    return round_up(batch * net->width + net->context + batch * (widest + widest / 32 + 1), LANES);
}

static int64_t decode_shared(const decode_network *net, int64_t batch) {
    int64_t qkv = decode_queries(net) + 2 * decode_keys(net);
    return round_up(batch * (net->width + qkv + decode_queries(net) + net->hidden), LANES);
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

/* normal = norm(stream): every thread for itself. */
static void decode_normalize(const decode_state *s, const decode_norm *norm) {
    const decode_network *net = s->net;
    for (int64_t b = 0; b < s->batch; b++) {
        float *x = s->stream + b * net->width, *y = s->normal + b * net->width, mean, rstd;
        if (net->rms)
            rmsnorm_forward(x, 0, norm->weight, net->eps, x, y, &rstd, 1, net->width);
        else
            layernorm_forward(x, 0, norm->weight, norm->bias, net->eps, x, y, &mean, &rstd, 1,
                              net->width);
    }
}

/* y = act(x W^T + bias) factor + residual, a phase.  x: (B, k), or norm(stream) if a norm is given;
 * the matrix adds its rows and its bias to `epilogue`. */
static void decode_matmul(decode_state *s, const decode_matrix *m, const decode_norm *norm,
                          const float *x, panel_epilogue epilogue) {
    epilogue.n = m->n;
    epilogue.bias = m->bias;
    const int64_t padded = round_up(m->k, m->scheme == INT4 ? INT4_GROUP : NF4_GROUP);
    int32_t *sums = (int32_t *)(s->rows + s->batch);
    int8_t *q = (int8_t *)(sums + s->batch * (padded / INT4_GROUP));
    const float *ready = 0;
    int64_t begin, end;
    while (decode_claim(s, panel_count(m->n), &begin, &end)) {
        if (!ready) {
            if (norm) decode_normalize(s, norm);
            ready = decode_prepare(s, m, norm ? s->normal : x, padded, sums, q);
        }
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

/* stream = token[id] + position, a phase. */
static void decode_embed(decode_state *s, const int64_t *ids) {
    const int64_t C = s->net->width;
    int64_t begin, end;
    while (decode_claim(s, s->batch, &begin, &end)) {
        for (int64_t b = begin; b < end; b++) {
            float *x = s->stream + b * C;
            decode_row(&s->net->token, s->net->levels, ids[b], x);
            if (!s->net->position) continue;
            const float *p = s->net->position + s->positions[b] * C;
            for (int64_t i = 0; i < C; i++) x[i] += p[i];
        }
        decode_done(s, end - begin);
    }
    decode_next(s, s->batch);
}

/* Turn the pairs (x_i, x_{i + half}), in place. */
static void decode_rotate(float *x, const float *cosine, const float *sine, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

/* y = sum_t p_t v_t, `vectors` vectors of n floats each; rows of v are `stride` apart. */
INLINE void decode_average(const float *p, const float *v, int64_t seen, int64_t stride,
                           const int vectors, int64_t n, float *y) {
    vf sum[4];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = v_zero();
    for (int64_t t = 0; t < seen; t++, v += stride) {
        vf weight = v_set1(p[t]);
        UNROLL for (int j = 0; j < vectors; j++)
            sum[j] = v_fma(weight, v_load_part(v + j * LANES, n), sum[j]);
    }
    UNROLL for (int j = 0; j < vectors; j++) v_store_part(y + j * LANES, sum[j], n);
}

/* y = sum_t p_t v_t, p = softmax(q . k_t / sqrt(D)): one head of one sequence. Rows of keys and
 * values are `stride` apart. */
static void decode_head(const decode_state *s, const float *q, const float *keys,
                        const float *values, int64_t seen, int64_t stride, float *y) {
    const int64_t D = s->net->head_dim;
    const float scale = 1 / sqrtf((float)D);
    for (int64_t t = 0; t < seen; t += LANES) {
        vf some = v_mul(v_set1(scale), float_dots(keys + t * stride, stride, seen - t, q, D));
        v_store_part(s->scores + t, some, seen - t < LANES ? seen - t : LANES);
    }
    softmax_forward(s->scores, s->scores, 1, seen);
    int64_t i = 0;
    for (; i + 4 * LANES <= D; i += 4 * LANES)
        decode_average(s->scores, values + i, seen, stride, 4, LANES, y + i);
    for (; i < D; i += LANES)
        decode_average(s->scores, values + i, seen, stride, 1, D - i < LANES ? D - i : LANES,
                       y + i);
}

/* A key head of one sequence and the heads that share it: its new key and value are stored first. */
static void decode_group(const decode_state *s, const decode_layer *layer, int64_t b, int64_t kv) {
    const decode_network *net = s->net;
    const int64_t D = net->head_dim, group = net->heads / net->kv_heads, stride = decode_keys(net);
    const int64_t position = s->positions[b], at = b * net->context * stride + kv * D;
    float *qkv = s->qkv + b * layer->qkv.n, *q = qkv + kv * group * D;
    float *k = qkv + decode_queries(net) + kv * D, *keys = layer->keys + at;
    float *v = k + stride, *values = layer->values + at;
    if (net->cos) {
        const float *cosine = net->cos + position * (D / 2), *sine = net->sin + position * (D / 2);
        for (int64_t h = 0; h < group; h++) decode_rotate(q + h * D, cosine, sine, D / 2);
        decode_rotate(k, cosine, sine, D / 2);
    }
    memcpy(keys + position * stride, k, D * sizeof *k);
    memcpy(values + position * stride, v, D * sizeof *v);
    float *y = s->attended + b * decode_queries(net) + kv * group * D;
    for (int64_t h = 0; h < group; h++)
        decode_head(s, q + h * D, keys, values, position + 1, stride, y + h * D);
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

/* hidden = act(up), or act(gate) up. */
static void decode_hidden(decode_state *s, const decode_layer *layer) {
    const panel_epilogue active = {.y = s->hidden, .output_activation = s->net->activation};
    const panel_epilogue times = {.y = s->hidden, .factor = s->hidden};
    if (layer->gate.codes) decode_matmul(s, &layer->gate, &layer->norm2, 0, active);
    decode_matmul(s, &layer->up, &layer->norm2, 0, layer->gate.codes ? times : active);
}

static void decode_layers(decode_state *s, float *logits) {
    const decode_network *net = s->net;
    const panel_epilogue to_stream = {.y = s->stream, .residual = s->stream};
    for (int64_t l = 0; l < net->layers; l++) {
        const decode_layer *layer = net->layer + l;
        decode_matmul(s, &layer->qkv, &layer->norm1, 0, (panel_epilogue){.y = s->qkv});
        decode_attention(s, layer);
        decode_matmul(s, &layer->proj, 0, s->attended, to_stream);
        decode_hidden(s, layer);
        decode_matmul(s, &layer->down, 0, s->hidden, to_stream);
    }
    decode_matmul(s, &net->head, &net->norm, 0, (panel_epilogue){.y = logits});
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
        s.normal = shared + decode_shared(net, batch) + s.thread * decode_own(net, batch);
        s.scores = s.normal + batch * net->width;
        s.rows = s.scores + net->context;
        decode_embed(&s, ids);
        decode_layers(&s, logits);
    }
}
