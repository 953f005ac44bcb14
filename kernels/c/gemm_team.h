/* How the threads of one product share its work: a queue of numbered items for each.
 *
 *     gemm_share_out(w, items);           every thread, before
 *     gemm_meet(w);
 *     while ((item = gemm_take(w)) >= 0) ...
 */
#pragma once
#include "gemm_tile.h"
#include "parallel.h"

typedef struct { /* the items that a thread has still to begin; a cache line */
    int64_t next, end, unused[6];
} gemm_queue;

typedef struct { /* one of the threads that work on a product */
    int self, threads;
    gemm_queue *queues; /* of all threads */
    float *shared;      /* CHUNK floats: the operand that they pack together */
    float *own;         /* A_BLOCK floats: what this one packs for itself */
} gemm_worker;

static gemm_worker gemm_worker_of(int self, int threads, gemm_queue *queues, float *scratch) {
    return (gemm_worker){self, threads, queues, scratch, scratch + CHUNK + self * A_BLOCK};
}

static void gemm_meet(const gemm_worker *w) {
    if (w->threads > 1) barrier();
}

/* An equal share of `items` to begin with. */
static void gemm_share_out(const gemm_worker *w, int64_t items) {
    w->queues[w->self].next = gemm_part(items, w->self, w->threads);
    w->queues[w->self].end = gemm_part(items, w->self + 1, w->threads);
}

/* The next item: of one's own share, then of whoever is behind; -1 when all are taken. Cores are not
 * equally fast: another program may be on one, or on its hyperthread, and many laptops have two
 * kinds of them. Who computes an item does not change what it computes. */
static int64_t gemm_take(const gemm_worker *w) {
    for (int i = 0; i < w->threads; i++) {
        gemm_queue *queue = &w->queues[(w->self + i) % w->threads];
        int64_t item = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED);
        if (item < queue->end) return item;
    }
    return -1;
}
