/* Embedding: rows of a table, and the sum of gradients back into them.
 *
 * weight, dweight: (V, n); ids: (rows,); y, dy: (rows, n). Ids may repeat. Python has checked them.
 */
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

/* Each thread owns some columns of dweight and walks all ids over them: no two threads write to one
 * place, and every sum runs in the order of the ids whatever the number of threads. A strip is four
 * cache lines wide, which the prefetchers follow. */
#define EMBEDDING_STRIP 64

void embedding_backward(
    const float *dy, const int64_t *ids, float *dweight, int64_t rows, int64_t size, int64_t n
) {
    int64_t strips = (n + EMBEDDING_STRIP - 1) / EMBEDDING_STRIP;
    PARALLEL_FOR(strip, strips, (rows + size) * EMBEDDING_STRIP) {
        int64_t from = strip * EMBEDDING_STRIP;
        int64_t end = from + EMBEDDING_STRIP < n ? from + EMBEDDING_STRIP : n;
        for (int64_t v = 0; v < size; v++)
            memset(dweight + v * n + from, 0, (end - from) * sizeof *dweight);
        for (int64_t row = 0; row < rows; row++) {
            const float *g = dy + row * n;
            float *to = dweight + ids[row] * n;
            int64_t i = from;
            for (; i + LANES <= end; i += LANES)
                v_store(to + i, v_add(v_load(to + i), v_load(g + i)));
            if (i < end) {
                vf sum = v_add(v_load_part(to + i, end - i), v_load_part(g + i, end - i));
                v_store_part(to + i, sum, end - i);
            }
        }
    }
}
