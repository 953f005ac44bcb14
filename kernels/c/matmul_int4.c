/* The dense layer on int4 weights and int8 activations: numpy_ref/matmul_int4.py, panel.h. */
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

/* scratch: rows * (padded + 4 + 4 groups) bytes: scales, sums of groups and bytes of x. */
void linear_int4_forward(const float *x, const uint8_t *codes, const float *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    const int64_t padded = round_up(k, INT4_GROUP), groups = padded / INT4_GROUP;
    float *x_scale = scratch;
    int32_t *x_sums = (int32_t *)(x_scale + rows);
    int8_t *q = (int8_t *)(x_sums + rows * groups);
    PARALLEL_FOR(row, rows, 5 * k)
    quantize_row_int4(x + row * k, q + row * padded, x_scale + row, k, padded, x_sums + row * groups);
    PARALLEL_FOR(panel, panel_count(n), 2 * rows * k) {
        int64_t row = 0;
        for (; row + PANEL_ROWS <= rows; row += PANEL_ROWS)
            int4_linear_panel(q, padded, x_scale, x_sums, codes, scale, row, panel, PANEL_ROWS,
                              &epilogue);
        for (; row < rows; row++)
            int4_linear_panel(q, padded, x_scale, x_sums, codes, scale, row, panel, 1, &epilogue);
    }
}
