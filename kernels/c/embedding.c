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
    EMBEDDING_PIECES = 256, /* ranges of ids that the threads share out */
    EMBEDDING_AHEAD = 4,    /* rows of dy that are on their way while one is added */
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

/* to += from, n floats; meanwhile `later` is asked for. */
static void embedding_add(float *to, const float *from, const float *later, int64_t n) {
    int64_t i = 0;
    for (int64_t line = 0; line < n; line += 16) prefetch(later + line);
    for (; i + LANES <= n; i += LANES) v_store(to + i, v_add(v_load(to + i), v_load(from + i)));
    for (; i < n; i++) to[i] += from[i];
}

/* dy's rows are read in the order of their ids, so that a row of dweight is complete while it is in
 * the first-level cache and travels to memory once. No prefetcher foresees that order: we say which
 * row comes next. Threads share out ranges of ids: no two write to one place, and every sum runs in
 * the order of the rows whoever makes it. scratch: rows + size + 1 integers. */
void embedding_backward(
    const float *dy, const int64_t *ids, float *dweight, int64_t *scratch, int64_t rows,
    int64_t size, int64_t n
) {
    int64_t *order = scratch, *first = scratch + rows, pieces = clamp(size, 0, EMBEDDING_PIECES);
    embedding_sort(ids, first, order, rows, size);
    PARALLEL_REGION(2.0 * (rows + size) * n) {
        SHARE_OUT(piece, pieces) {
            int64_t begin = size * piece / pieces, end = size * (piece + 1) / pieces;
            memset(dweight + begin * n, 0, (end - begin) * n * sizeof *dweight);
            for (int64_t r = first[begin]; r < first[end]; r++) {
                int64_t row = order[r], later = order[clamp(r + EMBEDDING_AHEAD, 0, rows - 1)];
                embedding_add(dweight + ids[row] * n, dy + row * n, dy + later * n, n);
            }
        }
    }
}
