/* The threads of decode.c: what each sees, where in the scratch it lies, and who does which units.
 *
 * A phase is a number of units: panels of 16 outputs, or parts of a token's heads. A thread claims
 * units of its own share first, the same ones for every token, because its core's cache may still
 * hold them; then what is left of the others' shares. The phase is over when its units are done, not when every
 * thread has come by: one that the system has put aside for another program holds nobody up, as it
 * would at a barrier.
 */
#pragma once
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

enum { DECODE_GRAINS = 4 }; /* claims in which a thread takes its share */

/* A count that threads change, alone in its cache line. */
typedef struct {
    int64_t count, padding[7];
} decode_counter;

/* What one thread sees: its place in the team, the shared activations, and its own. */
typedef struct {
    const decode_network *net;
    const int64_t *positions, *slots, *before; /* (B); before: NULL unless the network looks back */
    int64_t batch, scored, pieces, thread, threads;
    decode_counter *phase;                   /* of this phase: units done, then claims by share */
    float *stream, *qkv, *attended, *hidden; /* shared: (B, C), (B, .), (B, H D), (B, F or 2 F) */
    float *thin, *wide;                      /* shared: of what stands beside a matrix, (B, .) */
    float *turns;                            /* shared: (B, 2, R), cosines and sines */
    float *ready, *scores, *part; /* own: (B, C or F); (H, places); (H, LANES, LANES) */
    float *rows;                  /* own: (B, padded), scales */
} decode_state;

static int64_t decode_phases(const decode_network *net) {
    return (net->thin ? 16 : 8) * net->layers + 4;
}

static int64_t decode_queries(const decode_network *net) { return net->heads * net->head_dim; }

static int64_t decode_keys(const decode_network *net) { return net->kv_heads * net->head_dim; }

static int64_t decode_larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t decode_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

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
    return round_up(batch * row + net->heads * (net->places + LANES * LANES), LANES);
}

static int64_t decode_shared(const decode_network *net, int64_t batch) {
    int64_t qkv = decode_queries(net) + 2 * decode_keys(net);
    int64_t row = net->width + qkv + decode_queries(net) + net->hidden + 2 * net->pairs +
                  net->thin + net->wide;
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
