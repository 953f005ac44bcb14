/* A dense layer, forward and backward: gemm.h's product with its surroundings filled in.
 *
 *     y  = act(x) W^T + bias + residual       (rows, outside) from x (rows, inside), W (outside, inside)
 *                                             gated: from x (rows, 2 inside), activation.h
 *     dx = (dy W) act'(x),   dW = dy^T act(x),   dbias = column sums of dy
 *
 * There is no act(x) in memory: it is computed while a tile of x is packed, once in each product.
 * act'(x) is one pass over dx: finished tile by tile inside the product, its loads of x, each from
 * another page, took longer than the pass. The derivation is in numpy_ref/linear.py.
 */
#include "activation.h"
#include "gemm_tile.h"
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

#include <string.h>

void linear_forward(const float *x, const float *weight, const float *bias, const float *residual,
                    int64_t activation, int64_t gated, float *y, int64_t rows, int64_t inside,
                    int64_t outside, float *scratch) {
    gemm(&(gemm_problem){.rows = rows, .columns = outside, .inner = inside,
                         .a = x, .a_row = gated ? 2 * inside : inside, .a_inner = 1,
                         .a_activation = (int)activation, .a_gate = gated ? inside : 0,
                         .b = weight, .b_inner = 1, .b_column = inside, /* W^T: strides swapped */
                         .c = y, .c_row = outside, .bias = bias, .residual = residual},
         scratch);
}

/* y (rows, n) = act(x), or of x (rows, 2 n) with a gate. */
void activate_forward(const float *x, int64_t activation, int64_t gated, float *y, int64_t rows,
                      int64_t n) {
    PARALLEL_FOR(row, rows, 25 * n) {
        const float *from = x + row * (gated ? 2 * n : n);
        for (int64_t i = 0; i < n; i += LANES) {
            const int64_t count = n - i < LANES ? n - i : LANES;
            vf a = v_activate_at((int)activation, gated ? n : 0, from + i, count);
            v_store_part(y + row * n + i, a, count);
        }
    }
}

/* dx, laid out as x, = da act'(x) with da (rows, n). */
void activate_backward(const float *da, const float *x, int64_t activation, int64_t gated, float *dx,
                       int64_t rows, int64_t n) {
    if (!gated) {
        activation_backward((int)activation, da, x, dx, rows * n);
        return;
    }
    PARALLEL_FOR(row, rows, n) memcpy(dx + row * 2 * n, da + row * n, n * sizeof *da);
    activation_gate_backward((int)activation, x, dx, rows, n);
}

enum { BIAS_STRIP = 8 * LANES }; /* columns: whole cache lines, and as many sums at once */

/* dbias, a strip of columns at a time, down the rows in order. A row's next lies in another page:
 * fetched ahead. */
static void linear_bias_gradient(const float *dy, float *dbias, int64_t rows, int64_t outside) {
    PARALLEL_FOR(strip, gemm_ceil(outside, BIAS_STRIP), 2 * BIAS_STRIP * rows) {
        const int64_t column = strip * BIAS_STRIP, n = gemm_least(outside - column, BIAS_STRIP);
        const float *from = dy + column;
        vf total[8];
        UNROLL for (int v = 0; v < 8; v++) total[v] = v_zero();
        for (int64_t row = 0; n == BIAS_STRIP && row < rows; row++, from += outside)
            UNROLL for (int v = 0; v < 8; v++) {
                if (v * LANES % CACHE_LINE == 0) prefetch(from + AHEAD * outside + v * LANES);
                total[v] = v_add(total[v], v_load(from + v * LANES));
            }
        for (int64_t v = 0; v * LANES < n; v++) {
            const int64_t at = v * LANES, count = gemm_least(n - at, LANES);
            for (int64_t row = 0; n < BIAS_STRIP && row < rows; row++)
                total[v] = v_add(total[v], v_load_part(from + row * outside + at, count));
            v_store_part(dbias + column + at, total[v], count);
        }
    }
}

/* What is not wanted is NULL, and so may x be where nothing reads it. */
void linear_backward(const float *dy, const float *x, const float *weight, int64_t activation,
                     int64_t gated, float *dx, float *dweight, float *dbias, int64_t rows,
                     int64_t inside, int64_t outside, float *scratch) {
    const int64_t row = gated ? 2 * inside : inside; /* of x and dx */
    const gemm_problem to_weight = {
        .rows = outside, .columns = inside, .inner = rows,
        .a = dy, .a_row = 1, .a_inner = outside, /* dy^T */
        .b = x, .b_inner = row, .b_column = 1, .b_activation = (int)activation,
        .b_gate = gated ? inside : 0, .c = dweight, .c_row = inside,
    };
    const gemm_problem to_x = {
        .rows = rows, .columns = inside, .inner = outside,
        .a = dy, .a_row = outside, .a_inner = 1,
        .b = weight, .b_inner = inside, .b_column = 1,
        .c = dx, .c_row = row,
    };
    if (dweight) gemm(&to_weight, scratch);
    if (dx) gemm(&to_x, scratch);
    if (dx && gated)
        activation_gate_backward((int)activation, x, dx, rows, inside);
    else if (dx && activation)
        activation_backward((int)activation, dx, x, dx, rows * inside);
    if (dbias) linear_bias_gradient(dy, dbias, rows, outside);
}
