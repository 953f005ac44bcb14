/* The part of libgomp that the kernels use, on pthreads, for ThreadSanitizer.
 *
 * GCC's ThreadSanitizer sees what happens in code that it compiled and in pthread's functions. The
 * system's libgomp is neither: its barriers are futexes, so every sum that one thread finishes and
 * another reads after a barrier is reported as a race. Silencing those reports would silence real
 * ones in the same lines. So the very same outlined kernels are linked with this runtime instead:
 * GOMP_parallel is pthread_create and pthread_join, a barrier pthread_barrier_wait, and nothing else
 * orders two threads. In particular the counter of a dynamic loop is relaxed: OpenMP promises no
 * order between two iterations, and a stronger counter would hide races between them.
 *
 * A copy of the kernels has this file in its folder, and build.py takes every .c there into the one
 * translation unit. Part of the bench, never of the product.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { TEAM_THREADS = 64, TEAM_LOOPS = 256 };

typedef struct {
    void (*body)(void *);
    void *data;
    int threads;
    pthread_barrier_t meet;
    long taken[TEAM_LOOPS]; /* iterations given out, of each dynamic loop of the region in turn */
} team_region;

typedef struct { /* what a thread knows of its region */
    team_region *region;
    int index, loop;
    long begin, end, step, chunk; /* of its present loop */
} team_member;

static __thread team_member team_me = {.loop = -1};

int omp_get_thread_num(void) { return team_me.index; }
int omp_get_num_threads(void) { return team_me.region ? team_me.region->threads : 1; }

static void *team_run(void *member) {
    team_me = *(team_member *)member;
    team_me.region->body(team_me.region->data);
    return 0;
}

void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags) {
    (void)flags;
    team_region *region = calloc(1, sizeof *region);
    team_member members[TEAM_THREADS], before = team_me;
    pthread_t others[TEAM_THREADS];
    *region = (team_region){.body = body, .data = data, .threads = threads ? threads : 1};
    if (region->threads > TEAM_THREADS) abort();
    pthread_barrier_init(&region->meet, 0, region->threads);
    for (int i = 0; i < region->threads; i++)
        members[i] = (team_member){.region = region, .index = i, .loop = -1};
    for (int i = 1; i < region->threads; i++)
        if (pthread_create(&others[i], 0, team_run, &members[i])) abort();
    team_run(&members[0]);
    for (int i = 1; i < region->threads; i++) pthread_join(others[i], 0);
    pthread_barrier_destroy(&region->meet);
    free(region);
    team_me = before;
}

void GOMP_barrier(void) {
    if (omp_get_num_threads() > 1) pthread_barrier_wait(&team_me.region->meet);
}

bool GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to) {
    team_member *me = &team_me;
    const long taken =
        __atomic_fetch_add(&me->region->taken[me->loop], me->chunk * me->step, __ATOMIC_RELAXED);
    *from = me->begin + taken;
    *to = *from + me->chunk * me->step < me->end ? *from + me->chunk * me->step : me->end;
    return *from < me->end;
}

bool GOMP_loop_nonmonotonic_dynamic_start(long begin, long end, long step, long chunk, long *from,
                                          long *to) {
    team_member *me = &team_me;
    if (!me->region || ++me->loop == TEAM_LOOPS || step < 1) abort();
    me->begin = begin, me->end = end, me->step = step, me->chunk = chunk;
    return GOMP_loop_nonmonotonic_dynamic_next(from, to);
}

void GOMP_loop_end(void) { GOMP_barrier(); }
void GOMP_loop_end_nowait(void) {}
