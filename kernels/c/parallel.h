/* The parallel loop: OpenMP if the compiler has it, an ordinary loop if not.
 *
 *     PARALLEL_FOR(row, rows, 4 * columns) softmax_row(x + row * columns, ...);
 *
 * shares the iterations row = 0 .. rows-1 among the threads, in equal consecutive ranges. The third
 * argument is the cost of one iteration in roughly floating-point operations (an exp is 20): a loop
 * too short to repay waking the team (about 5 us) stays on the calling thread. Iterations must not
 * write to the same place; then the result does not depend on the number of threads.
 *
 *     PARALLEL_REGION(work) { ... thread_index(), thread_count(), barrier() ... }
 *
 * runs its block once on every thread. In it,
 *
 *     SHARE_OUT(piece, pieces) { ... }
 *
 * gives each piece to whichever thread is free, for pieces of unequal cost (a causal mask); all
 * wait at its end. The team's size is set by kernels/threads.py alone. It is
 * ours and not omp_set_num_threads's, which holds only for the Python thread that called it.
 */
#pragma once
#include <stdint.h>

#if defined(_WIN32)
static inline void yield_core(void) {}
#else
#include <sched.h>
static inline void yield_core(void) { sched_yield(); }
#endif

#define PARALLEL_WORTH 50e3 /* operations: some 5 us of one core's vector arithmetic */

static int team_size = 1;

enum { MOST_THREADS = 64 };
void set_threads(int threads) { team_size = threads < MOST_THREADS ? threads : MOST_THREADS; }
int get_threads(void) { return team_size; }

/* For threads that share a phase's units by counting (decode.c). */
static inline int64_t atomic_add(int64_t *count, int64_t n) {
    return __atomic_fetch_add(count, n, __ATOMIC_ACQ_REL);
}
static inline int64_t atomic_read(const int64_t *count) {
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}
/* Between two looks at a count: at first only look, after some microseconds let others run. */
static inline void wait_a_moment(int64_t tries) {
    if (tries > 2000) yield_core();
}

static inline int team_for(double work) { return work >= PARALLEL_WORTH ? team_size : 1; }

#ifdef _OPENMP
#include <omp.h>

#define PRAGMA(text) _Pragma(#text)
#define PARALLEL_FOR(i, n, cost)                                                          \
    PRAGMA(omp parallel for schedule(static) num_threads(team_for((double)(n) * (cost)))) \
    for (int64_t i = 0; i < (n); i++)
#define PARALLEL_REGION(work) PRAGMA(omp parallel num_threads(team_for(work)))
#define SHARE_OUT(i, n) PRAGMA(omp for schedule(dynamic)) for (int64_t i = 0; i < (n); i++)
static inline void barrier(void) { PRAGMA(omp barrier) }
static inline int thread_index(void) { return omp_get_thread_num(); }
static inline int thread_count(void) { return omp_get_num_threads(); }
int has_openmp(void) { return 1; }

#else

#define PARALLEL_FOR(i, n, cost) for (int64_t i = 0; i < (n); i++)
#define PARALLEL_REGION(work)
#define SHARE_OUT(i, n) for (int64_t i = 0; i < (n); i++)
static inline void barrier(void) {}
static inline int thread_index(void) { return 0; }
static inline int thread_count(void) { return 1; }
int has_openmp(void) { return 0; }

#endif
