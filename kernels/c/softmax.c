/* softmax over rows: y_j = exp(x_j - m) / sum_i exp(x_i - m), m the row's maximum.
 *
 * x, y, dy, dx: (rows, columns). Three sweeps over a row, which stays in the first-level cache up to
 * some 10,000 columns: memory is read once and written once. Rows are shared among the threads.
 * Maximum and exponentials of a row: rows.h.  Derivation: numpy_ref/softmax.py.
 */
#include "kernels.h"
#include "parallel.h"
#include "rows.h"

void softmax_forward(const float *x, float *y, int64_t rows, int64_t columns) {
    PARALLEL_FOR(row, rows, 20 * columns) {
        softmax_row(x + row * columns, y + row * columns, columns);
    }
}

static float softmax_row_dot(const float *a, const float *b, int64_t n) {
    vf total = v_zero();
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) total = v_fma(v_load(a + i), v_load(b + i), total);
    if (i < n) total = v_fma(v_load_part(a + i, n - i), v_load_part(b + i, n - i), total);
    return v_reduce_add(total);
}

/* dx_j = y_j (dy_j - sum_i dy_i y_i) */
void softmax_backward(const float *dy, const float *y, float *dx, int64_t rows, int64_t columns) {
    PARALLEL_FOR(row, rows, 4 * columns) {
        const float *g = dy + row * columns, *p = y + row * columns;
        float *to = dx + row * columns;
        vf dot = v_set1(softmax_row_dot(g, p, columns));
        int64_t i = 0;
        for (; i + LANES <= columns; i += LANES)
            v_store(to + i, v_mul(v_load(p + i), v_sub(v_load(g + i), dot)));
        if (i < columns) {
            int64_t n = columns - i;
            vf gradient = v_sub(v_load_part(g + i, n), dot);
            v_store_part(to + i, v_mul(v_load_part(p + i, n), gradient), n);
        }
    }
}
