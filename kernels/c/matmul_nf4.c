/* The dense layer on NF4 weights and float activations: numpy_ref/matmul_nf4.py, panel.h. */
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

/* x: (rows, padded), zero beyond K, padded a multiple of 64; levels: the 16 of the code. */
void linear_nf4_forward(const float *x, const uint8_t *codes, const float *scale,
                        const float *levels, const float *bias, const float *residual, float *y,
                        int64_t rows, int64_t n, int64_t padded) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    PARALLEL_FOR(panel, panel_count(n), 8 * rows * padded) {
        int64_t row = 0;
        for (; row + PANEL_ROWS <= rows; row += PANEL_ROWS)
            nf4_linear_panel(x, padded, codes, scale, levels, row, panel, PANEL_ROWS, &epilogue);
        for (; row < rows; row++)
            nf4_linear_panel(x, padded, codes, scale, levels, row, panel, 1, &epilogue);
    }
}
