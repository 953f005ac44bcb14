/* One token through the whole network in one call: numpy_ref/decode.py says what it computes.
 *
 * A token costs two operations for each weight, so a step is as fast as the weights can be read.
 * What is in the way of that is everything else: calls, allocation, waking threads, waiting. So the
 * team is woken once, and its threads walk through the phases of all layers together:
 *
 *     norm1 -> qkv | attention | proj + stream | norm2 -> up | gate -> down + stream
 *
 * Where two thin matrices stand beside one (LoRA's), two phases come before it: what they give is a
 * second bias, of each token. They read one part in fifty of what their matrix does.
 * Post-norm has two phases more, in which the stream itself is normed; a soft cap of the logits is
 * one. What a network may lack is a NULL pointer that a phase asks for once for each unit or panel.
 *
 * Who does which units of a phase: decode_team.h. Norms, gates and the rounding of activations to
 * bytes are so small that each thread does them for itself, after its first claim: until that is done
 * nobody can be a phase ahead and change what it reads. Each output is computed by one thread in a
 * fixed order, so the logits do not depend on the number of threads.
 *
 * Shapes: B sequences, C channels, H heads of D on Hkv key heads, F the MLP's width, R rotary pairs.
 * keys and values of a layer: (S, places, Hkv, D), rings: position p lies at place p mod places. They
 * are floats or bytes (decode_heads.h).
 * scratch: decode_scratch() floats. No weight is copied or written.
 */
#include "decode_attention.h"
#include "panel_blocks.h"

/* A step over fewer weights than this, counted once for each sequence, stays on the calling thread.
 * Two threads are 1.3 to 2.3 times as fast from 2.7 million weights on, in any scheme, and slower at
 * 0.8 million (bench/LOG.md). While another program keeps one of the two cores busy, they are half as fast
 * as one: still 1500 tokens/s for those 2.7 million. */
#define DECODE_TEAM_WEIGHTS 2e6

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

/* What panels read of x (B, k): floats, or integers and what belongs to them. */
typedef struct {
    int64_t padded; /* integers of a row, or floats of NF4 */
    const float *x;
    float *scale;  /* INT8 and INT4: of each row */
    int32_t *sums; /* INT4: of each group */
    x_block *block;
    int8_t *q;
} decode_rows;

/* Where a thread puts them, in its s->rows. */
static decode_rows decode_room(const decode_state *s, const decode_matrix *m) {
    decode_rows r = {.padded = round_up(m->k, m->scheme == NF4 ? NF4_GROUP : X_BLOCK)};
    const int64_t groups = s->batch * (r.padded / X_BLOCK);
    r.scale = s->rows;
    r.sums = (int32_t *)(r.scale + s->batch);
    r.block = (x_block *)s->rows;
    const int blocks = m->scheme == Q4_1 || m->scheme == Q8_0;
    r.q = blocks ? (int8_t *)(r.block + groups) : (int8_t *)(r.sums + groups);
    return r;
}

/* Round x (B, k) to bytes, or lengthen it, as the scheme wants it. */
static void decode_prepare(const decode_state *s, const decode_matrix *m, const float *x,
                           decode_rows *r) {
    const int64_t groups = r->padded / X_BLOCK;
    r->x = m->scheme == NF4 && r->padded != m->k ? s->rows : x;
    for (int64_t b = 0; b < s->batch; b++) {
        const float *row = x + b * m->k;
        if (m->scheme == INT8)
            quantize_row_int8(row, r->q + b * ready_bytes(m->k), r->scale + b, m->k);
        if (m->scheme == INT4)
            quantize_row_int4(row, r->q + b * r->padded, r->scale + b, m->k, r->padded,
                              r->sums + b * groups);
        if (m->scheme == Q4_1 || m->scheme == Q8_0)
            quantize_row_blocks(m->scheme, row, r->q + b * groups * x_block_bytes(m->scheme),
                                r->block + b * groups, m->k);
        if (r->x != x) {
            memcpy(s->rows + b * r->padded, row, m->k * sizeof *row);
            memset(s->rows + b * r->padded + m->k, 0, (r->padded - m->k) * sizeof *row);
        }
    }
}

/* y = norm(x), one row; y may be x. */
static void decode_norm_row(const decode_network *net, const decode_norm *norm, float *x, float *y) {
    float mean, rstd;
    if (net->rms)
        rmsnorm_row(x, 0, norm->weight, net->eps, x, y, &rstd, net->width);
    else
        layernorm_row(x, 0, norm->weight, norm->bias, net->eps, x, y, &mean, &rstd, net->width);
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

/* `rows` rows, from `row` on, of one panel of a product with a packed matrix. */
INLINE void decode_packed_panel(const decode_state *s, const decode_matrix *m,
                                const decode_rows *r, int64_t row, int64_t panel, const int rows,
                                const panel_epilogue *e) {
    if (m->scheme == INT8)
        int8_linear_panel(r->q, m->k, r->scale, m->codes, m->scale, m->offset, row, panel, rows,
                          e);
    if (m->scheme == INT4)
        int4_linear_panel(r->q, r->padded, r->scale, r->sums, m->codes, m->scale, row, panel, rows,
                          e);
    if (m->scheme == NF4)
        nf4_linear_panel(r->x, r->padded, m->codes, m->scale, s->net->levels, row, panel, rows, e);
    if (m->scheme == Q4_1)
        q4_1_linear_panel(r->q, r->block, m->k, m->codes, m->scale, row, panel, rows, e);
    if (m->scheme == Q8_0)
        q8_0_linear_panel(r->q, r->block, m->k, m->codes, m->scale, row, panel, rows, e);
}

/* One panel of a product, for all tokens. */
static void decode_panel(const decode_state *s, const decode_matrix *m, const decode_rows *r,
                         int64_t panel, const panel_epilogue *e) {
    int64_t row = 0;
    if (m->scheme == FLOATS) {
        float_panel(m->codes, r->x, s->batch, m->k, panel, e);
        return;
    }
    for (; row + PANEL_ROWS <= s->batch; row += PANEL_ROWS)
        decode_packed_panel(s, m, r, row, panel, PANEL_ROWS, e);
    for (; row < s->batch; row++) decode_packed_panel(s, m, r, row, panel, 1, e);
}

/* y = act(x W^T + bias) + residual, a phase; the matrix adds its rows and its bias to `epilogue`. */
static void decode_matmul(decode_state *s, const decode_matrix *m, decode_input in,
                          panel_epilogue epilogue) {
    epilogue.n = m->n;
    epilogue.bias = m->bias;
    decode_rows rows = decode_room(s, m);
    int64_t begin, end;
    while (decode_claim(s, panel_count(m->n), &begin, &end)) {
        if (!rows.x) decode_prepare(s, m, decode_read(s, &in, m->k), &rows);
        for (int64_t panel = begin; panel < end; panel++)
            decode_panel(s, m, &rows, panel, &epilogue);
        decode_done(s, end - begin);
    }
    decode_next(s, panel_count(m->n));
}

/* Likewise of W + U A, in up to three phases; thin: A, wide: U, both NULL for W alone. */
static void decode_product(decode_state *s, const decode_matrix *m, const decode_matrix *thin,
                           const decode_matrix *wide, decode_input in, panel_epilogue epilogue) {
    if (thin->codes) {
        decode_matmul(s, thin, in, (panel_epilogue){.y = s->thin});
        decode_matmul(s, wide, (decode_input){.x = s->thin}, (panel_epilogue){.y = s->wide});
        epilogue.beside = s->wide;
    }
    decode_matmul(s, m, in, epilogue);
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

/* x += smear token[the id before], unless there is none. */
static void decode_smear(const decode_state *s, int64_t before, float *x) {
    if (before < 0) return;
    decode_row(&s->net->token, s->net->levels, before, s->ready);
    for (int64_t i = 0; i < s->net->width; i++) x[i] += s->net->smear[i] * s->ready[i];
}

/* x += bigrams[the id before, id]; rows of where there is none come first. */
static void decode_bigram(const decode_state *s, int64_t before, int64_t id, float *x) {
    decode_row(&s->net->bigrams, s->net->levels, (before + 1) * s->net->token.n + id, s->ready);
    for (int64_t i = 0; i < s->net->width; i++) x[i] += s->ready[i];
}

/* stream = token[id] + position, and the turns of the positions, a phase. */
static void decode_embed(decode_state *s, const int64_t *ids) {
    const int64_t C = s->net->width;
    int64_t begin, end;
    while (decode_claim(s, s->batch, &begin, &end)) {
        for (int64_t b = begin; b < end; b++) {
            float *x = s->stream + b * C;
            decode_row(&s->net->token, s->net->levels, ids[b], x);
            if (s->net->smear) decode_smear(s, s->before[b], x);
            if (s->net->bigrams.codes) decode_bigram(s, s->before[b], ids[b], x);
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
        decode_product(s, &l->qkv, &l->qkv_thin, &l->qkv_wide, decode_normed(s, &l->norm1),
                       (panel_epilogue){.y = s->qkv});
        decode_attention(s, l);
        decode_product(s, &l->proj, &l->proj_thin, &l->proj_wide, (decode_input){.x = s->attended},
                       to_stream);
        decode_settle(s, &l->norm1);
        decode_product(s, &l->up, &l->up_thin, &l->up_wide, decode_normed(s, &l->norm2), to_hidden);
        decode_product(s, &l->down, &l->down_thin, &l->down_wide,
                       (decode_input){.x = s->hidden, .gated = net->gated}, to_stream);
        decode_settle(s, &l->norm2);
    }
    s->batch = s->scored;
    if (!s->scored) return;
    decode_matmul(s, &net->head, decode_normed(s, &net->norm), (panel_epilogue){.y = logits});
    decode_cap(s, logits);
}

void decode_step(const void *network, const int64_t *ids, const int64_t *positions,
                 const int64_t *slots, const int64_t *before, int64_t batch, int64_t scored, int64_t pieces,
                 float *logits, float *scratch) {
    const decode_network *net = network;
    const double work = batch * decode_weights(net) < DECODE_TEAM_WEIGHTS ? 0 : 1e9;
    decode_counter *counters = (decode_counter *)round_up((int64_t)scratch, 64);
    memset(counters, 0, decode_counters(net, team_for(work)) * sizeof *counters);
    float *shared = (float *)(counters + decode_counters(net, team_for(work)));
    PARALLEL_REGION(work) {
        decode_state s = {net, positions, slots, before, batch, scored, pieces,
                          thread_index(), thread_count(), counters, shared};
        s.qkv = s.stream + batch * net->width;
        s.attended = s.qkv + batch * (decode_queries(net) + 2 * decode_keys(net));
        s.hidden = s.attended + batch * decode_queries(net);
        s.thin = s.hidden + batch * net->hidden;
        s.wide = s.thin + batch * net->thin;
        s.turns = s.wide + batch * net->wide;
        s.ready = shared + decode_shared(net, batch) + s.thread * decode_own(net, batch);
        s.scores = s.ready + batch * decode_inner(net);
        s.part = s.scores + net->heads * net->places;
        s.rows = s.part + net->heads * LANES * LANES;
        decode_embed(&s, ids);
        decode_layers(&s, logits);
    }
}
