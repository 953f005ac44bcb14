/* The dense layer on q4_1 weights and int8 activations: numpy_ref/matmul_q4_1.py, panel_blocks.h.
 *
 * Rows go in blocks whose bytes stay in the second-level cache, as in matmul_int8.c. */
#include "kernels.h"
#include "panel_blocks.h"
#include "parallel.h"

/* The blocks of all rows, and after them the bytes. */
static x_block *quantize_blocks(const float *x, int64_t rows, int64_t k, void *scratch) {
    x_block *block = scratch;
    int8_t *q = (int8_t *)(block + rows * block_count(k));
    PARALLEL_FOR(row, rows, 5 * k)
    quantize_row_blocks(x + row * k, q + row * block_count(k) * X_BLOCK, block + row * block_count(k),
                        k);
    return block;
}

void linear_q4_1_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
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
                q4_1_linear_panel(q, block, k, codes, scale, row, panel, PANEL_ROWS, &epilogue);
            for (; row < end; row++)
                q4_1_linear_panel(q, block, k, codes, scale, row, panel, 1, &epilogue);
        }
    }
}
