/* How the threads of one product share its work: a queue of numbered items for each.
 *
 *     gemm_share_out(team, self, items);          each thread, before
 *     gemm_meet(team);
 *     while ((item = gemm_take(team, self)) >= 0) ...
 */
#pragma once
#include "gemm_tile.h"
#include "parallel.h"

typedef struct {
    int threads;
    float *shared; /* CHUNK floats: the operand that the team packs together */
    float *own;    /* threads * A_BLOCK floats: what each packs for itself */
    struct { /* the items that a thread has still to begin; a cache line each */
        int64_t next, end, unused[6];
    } queue[MOST_THREADS];
} gemm_team;

static void gemm_meet(const gemm_team *team) {
    if (team->threads > 1) barrier();
}

/* An equal share of `items` to begin with. */
static void gemm_share_out(gemm_team *team, int self, int64_t items) {
    team->queue[self].next = gemm_part(items, self, team->threads);
    team->queue[self].end = gemm_part(items, self + 1, team->threads);
}

/* The next item: of one's own share, then of whoever is behind; -1 when all are taken. Cores are not
 * equally fast: another program may be on one, or on its hyperthread, and many laptops have two
 * kinds of them. Who computes an item does not change what it computes. */
static int64_t gemm_take(gemm_team *team, int self) {
    for (int i = 0; i < team->threads; i++) {
        int other = (self + i) % team->threads;
        int64_t item = __atomic_fetch_add(&team->queue[other].next, 1, __ATOMIC_RELAXED);
        if (item < team->queue[other].end) return item;
    }
    return -1;
}
