/* y = x W^T with int8 weights: the exact integers, and the dense layer made of them.
 *
 * Contracts, the error bound and the reason for X_BIAS: numpy_ref/matmul_int8.py; the layout of
 * codes: kernels/packing.py; the arithmetic: panel.h. Panels are shared among the threads. Rows go
 * in blocks whose bytes stay in the second-level cache, so that for up to 256 rows every weight
 * comes from memory once.
 */
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

void quantize_rows(const float *x, int8_t *q, float *scale, int64_t rows, int64_t k) {
    PARALLEL_FOR(row, rows, 4 * k) {
        scale[row] = row_scale(x + row * k, k);
        for (int64_t i = 0; i < k; i += LANES) {
            int8_t some[LANES];
            vi_store_bytes(some, row_codes(x + row * k, i, k, row_inverse(scale[row])));
            memcpy(q + row * k + i, some, k - i < LANES ? k - i : LANES);
        }
    }
}

/* scratch: ready_bytes(k) for each row. */
void matmul_int8(const int8_t *x, const int8_t *codes, const int32_t *offset, int32_t *y,
                 int64_t rows, int64_t n, int64_t k, int8_t *scratch) {
    const int64_t steps = round_up(k, 4) / 4, stride = ready_bytes(k);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < k; i += LANES) {
            int32_t some[LANES] = {0};
            for (int64_t j = 0; j < LANES && i + j < k; j++) some[j] = x[row * k + i + j];
            vx_store(scratch + row * stride + X_BYTES * i, vi_load(some));
        }
    PARALLEL_FOR(panel, panel_count(n), 2 * rows * k * PANEL) {
        for (int64_t row = 0; row < rows; row++) {
            vi sum[PANEL_ROWS][PANEL_VECTORS];
            int32_t out[PANEL];
            int8_panel(scratch + row * stride, stride, codes + panel * PANEL * 4 * steps,
                       offset + panel * PANEL, steps, 1, sum);
            for (int i = 0; i < PANEL_VECTORS; i++) vi_store(out + i * LANES, sum[0][i]);
            int64_t left = n - panel * PANEL;
            memcpy(y + row * n + panel * PANEL, out, 4 * (left < PANEL ? left : PANEL));
        }
    }
}

/* scratch: ready_bytes(k) + 4 for each row, for x's codes and scales. */
void linear_int8_forward(const float *x, const int8_t *codes, const float *scale,
                         const int32_t *offset, const float *bias, const float *residual, float *y,
                         int64_t rows, int64_t n, int64_t k, void *scratch) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    float *x_scale = scratch;
    int8_t *q = (int8_t *)(x_scale + rows);
    PARALLEL_FOR(row, rows, 4 * k)
    quantize_row_int8(x + row * k, q + row * ready_bytes(k), x_scale + row, k);
    for (int64_t start = 0; start < rows; start += ROW_BLOCK) {
        const int64_t end = start + ROW_BLOCK < rows ? start + ROW_BLOCK : rows;
        PARALLEL_FOR(panel, panel_count(n), (end - start) * k) {
            int64_t row = start;
            for (; row + PANEL_ROWS <= end; row += PANEL_ROWS)
                int8_linear_panel(q, k, x_scale, codes, scale, offset, row, panel, PANEL_ROWS,
                                  &epilogue);
            for (; row < end; row++)
                int8_linear_panel(q, k, x_scale, codes, scale, offset, row, panel, 1,
                                  &epilogue);
        }
    }
}
