/* A dense layer, forward and backward: gemm.h's product with its surroundings filled in.
 *
 *     y  = act(x W^T + bias) + residual       (rows, outside) from x (rows, inside), W (outside, inside)
 *     dx = dz W,   dW = dz^T x,   dbias = column sums of dz,      dz = dy dact
 *
 * No pass over memory beyond the products' own: forward writes y and dact from the tile, backward
 * multiplies dy by dact while packing it. The derivation is in numpy_ref/linear.py.
 */
#include "gemm.h"
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

void linear_forward(const float *x, const float *weight, const float *bias, const float *residual,
                    int64_t activation, float *y, float *dact, int64_t rows, int64_t inside,
                    int64_t outside, float *scratch) {
    gemm(&(gemm_problem){.rows = rows, .columns = outside, .inner = inside,
                         .a = x, .a_row = inside, .a_inner = 1,
                         .b = weight, .b_inner = 1, .b_column = inside, /* W^T: strides swapped */
                         .c = y, .c_row = outside, .bias = bias, .residual = residual,
                         .activation = (int)activation, .dact = dact},
         scratch);
}

/* dbias, a vector of columns at a time, down the rows in order. */
static void linear_bias_gradient(const float *dy, const float *dact, float *dbias, int64_t rows,
                                 int64_t outside) {
    PARALLEL_FOR(block, (outside + LANES - 1) / LANES, 2 * rows) {
        const int64_t column = block * LANES, left = outside - column;
        const int64_t n = left < LANES ? left : LANES;
        vf total = v_zero();
        for (int64_t at = column; at < rows * outside; at += outside) {
            vf dz = v_load_part(dy + at, n);
            if (dact) dz = v_mul(dz, v_load_part(dact + at, n));
            total = v_add(total, dz);
        }
        v_store_part(dbias + column, total, n);
    }
}

/* dact, dbias: NULL without. */
void linear_backward(const float *dy, const float *x, const float *weight, const float *dact,
                     float *dx, float *dweight, float *dbias, int64_t rows, int64_t inside,
                     int64_t outside, float *scratch) {
    gemm(&(gemm_problem){.rows = rows, .columns = inside, .inner = outside,
                         .a = dy, .a_row = outside, .a_inner = 1, .a_factor = dact,
                         .b = weight, .b_inner = inside, .b_column = 1,
                         .c = dx, .c_row = inside},
         scratch);
    gemm(&(gemm_problem){.rows = outside, .columns = inside, .inner = rows,
                         .a = dy, .a_row = 1, .a_inner = outside, .a_factor = dact, /* dz^T */
                         .b = x, .b_inner = inside, .b_column = 1,
                         .c = dweight, .c_row = inside},
         scratch);
    if (dbias) linear_bias_gradient(dy, dact, dbias, rows, outside);
}
