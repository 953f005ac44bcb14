/* The dense layer on q8_0 weights and int8 activations: numpy_ref/matmul_q8_0.py, panel_blocks.h.
 * The loops are matmul_q4_1.c's. */
#include "kernels.h"
#include "panel_blocks.h"
#include "parallel.h"

void linear_q8_0_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    const x_block *block = quantize_blocks(x, rows, k, scratch);
    const int8_t *q = (const int8_t *)(block + rows * block_count(k));
    for (int64_t start = 0; start < rows; start += ROW_BLOCK) {
        const int64_t end = start + ROW_BLOCK < rows ? start + ROW_BLOCK : rows;
        PARALLEL_FOR(panel, panel_count(n), 2 * (end - start) * k) {
            int64_t row = start;
            for (; row + PANEL_ROWS <= end; row += PANEL_ROWS)
                q8_0_linear_panel(q, block, k, codes, scale, row, panel, PANEL_ROWS, &epilogue);
            for (; row < end; row++)
                q8_0_linear_panel(q, block, k, codes, scale, row, panel, 1, &epilogue);
        }
    }
}
