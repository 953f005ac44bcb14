/* The dense layer on q8_0 weights and int8 activations: numpy_ref/matmul_q8_0.py, panel_blocks.h;
 * the loops: matmul_q4_1.c. */
#include "kernels.h"

void linear_q8_0_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch) {
    const panel_epilogue epilogue = {bias, residual, y, n, 0};
    linear_blocks_forward(Q8_0, x, codes, scale, rows, k, scratch, &epilogue);
}
