/* The dense layer on q4_1 weights and int8 activations: numpy_ref/matmul_q4_1.py, panel_blocks.h.
 *
 * Rows go in blocks whose bytes stay in the second-level cache, as in matmul_int8.c. */
#include "kernels.h"
#include "panel_blocks.h"
#include "parallel.h"

/* The blocks of all rows, and after them the bytes. */
static x_block *quantize_blocks(int64_t scheme, const float *x, int64_t rows, int64_t k,
                                void *scratch) {
    const int64_t groups = block_count(k), bytes = groups * x_block_bytes(scheme);
    x_block *block = scratch;
    int8_t *q = (int8_t *)(block + rows * groups);
    PARALLEL_FOR(row, rows, 5 * k)
    quantize_row_blocks(scheme, x + row * k, q + row * bytes, block + row * groups, k);
    return block;
}

/* `rows` rows of one panel, of either scheme. */
INLINE void blocks_linear_panel(const int scheme, const int8_t *q, const x_block *block, int64_t k,
                                const uint8_t *codes, const uint16_t *scale, int64_t row,
                                int64_t panel, const int rows, const panel_epilogue *e) {
    if (scheme == Q4_1) q4_1_linear_panel(q, block, k, codes, scale, row, panel, rows, e);
    if (scheme == Q8_0) q8_0_linear_panel(q, block, k, codes, scale, row, panel, rows, e);
}

INLINE void linear_blocks_forward(const int scheme, const float *x, const uint8_t *codes,
                                  const uint16_t *scale, int64_t rows, int64_t k, void *scratch,
                                  const panel_epilogue *epilogue) {
    const x_block *block = quantize_blocks(scheme, x, rows, k, scratch);
    const int8_t *q = (const int8_t *)(block + rows * block_count(k));
    const int64_t n = epilogue->n;
    for (int64_t start = 0; start < rows; start += ROW_BLOCK) {
        const int64_t end = start + ROW_BLOCK < rows ? start + ROW_BLOCK : rows;
        PARALLEL_FOR(panel, panel_count(n), 2 * (end - start) * k) {
            int64_t row = start;
            for (; row + PANEL_ROWS <= end; row += PANEL_ROWS)
                blocks_linear_panel(scheme, q, block, k, codes, scale, row, panel, PANEL_ROWS,
                                    epilogue);
            for (; row < end; row++)
                blocks_linear_panel(scheme, q, block, k, codes, scale, row, panel, 1, epilogue);
        }
    }
}

void linear_q4_1_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    linear_blocks_forward(Q4_1, x, codes, scale, rows, k, scratch, &epilogue);
}
