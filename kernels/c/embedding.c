/* Embedding: rows of a table, and the sum of gradients back into them.
 *
 * weight, dweight: (V, n); ids: (rows,); y, dy: (rows, n). Ids may repeat. Python has checked them.
 */
#include "integers.h"
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

/* The position of the first id outside [0, size), or -1. */
int64_t find_bad_id(const int64_t *ids, int64_t rows, int64_t size) {
    for (int64_t row = 0; row < rows; row++)
        if (ids[row] < 0 || ids[row] >= size) return row;
    return -1;
}

void embedding_forward(
    const float *weight, const int64_t *ids, float *y, int64_t rows, int64_t n
) {
    PARALLEL_FOR(row, rows, n)
        memcpy(y + row * n, weight + ids[row] * n, n * sizeof *y);
}

enum {
    EMBEDDING_STRIP = 64, /* columns that a thread owns at least: four cache lines */
    EMBEDDING_AHEAD = 4,  /* rows of dy that are on their way while one is added */
};

/* The rows sorted by id, rows of one id in their order: those of id v are order[first[v]] ..
 * order[first[v + 1] - 1]. A counting sort, three short passes; first has size + 1 places. */
static void embedding_sort(
    const int64_t *ids, int64_t *first, int64_t *order, int64_t rows, int64_t size
) {
    memset(first, 0, (size + 1) * sizeof *first);
    for (int64_t row = 0; row < rows; row++) first[ids[row]]++;
    for (int64_t v = 1; v <= size; v++) first[v] += first[v - 1]; /* the end of v's rows */
    for (int64_t row = rows - 1; row >= 0; row--) order[--first[ids[row]]] = row; /* the begin */
}

/* to += from, `columns` floats; meanwhile `later` is asked for. */
static void embedding_add(float *to, const float *from, const float *later, int64_t columns) {
    int64_t i = 0;
    for (int64_t line = 0; line < columns; line += 16) prefetch(later + line);
    for (; i + LANES <= columns; i += LANES)
        v_store(to + i, v_add(v_load(to + i), v_load(from + i)));
    for (; i < columns; i++) to[i] += from[i];
}

/* dy's rows are read in the order of their ids, so that a row of dweight is complete while it is in
 * the first-level cache and travels to memory once. No prefetcher foresees that order: we say which
 * row comes next. Each thread owns some columns: no two write to one place, and every sum runs in the
 * order of the ids whatever the number of threads. scratch: rows + size + 1 integers. */
void embedding_backward(
    const float *dy, const int64_t *ids, float *dweight, int64_t *scratch, int64_t rows,
    int64_t size, int64_t n
) {
    int64_t *order = scratch, *first = scratch + rows, team = get_threads();
    embedding_sort(ids, first, order, rows, size);
    int64_t strip = clamp((n + team - 1) / team, EMBEDDING_STRIP, n);
    PARALLEL_FOR(s, (n + strip - 1) / strip, 2 * (rows + size) * strip) {
        int64_t from = s * strip, columns = clamp(n - from, 0, strip);
        for (int64_t v = 0; v < size; v++) {
            float *to = dweight + v * n + from;
            memset(to, 0, columns * sizeof *to);
            for (int64_t r = first[v]; r < first[v + 1]; r++) {
                int64_t later = order[clamp(r + EMBEDDING_AHEAD, 0, rows - 1)];
                embedding_add(to, dy + order[r] * n + from, dy + later * n + from, columns);
            }
        }
    }
}
