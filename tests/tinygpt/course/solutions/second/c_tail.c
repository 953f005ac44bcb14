#include "kernels.h"
#include "parallel.h"
#include "rows.h"

void softmax_backward(const float *dy, const float *y, float *dx, int64_t rows, int64_t columns) {
    PARALLEL_FOR(row, rows, 4 * columns) {
        int64_t at = row * columns;
        vf dot = v_set1(softmax_row_dot(dy + at, y + at, columns));
        for (int64_t i = 0; i < columns; i += LANES) {
            int64_t n = columns - i < LANES ? columns - i : LANES;
            vf p = v_load_part(y + at + i, n);
            v_store_part(dx + at + i, v_sub(v_mul(p, v_load_part(dy + at + i, n)), v_mul(p, dot)), n);
        }
    }
}
