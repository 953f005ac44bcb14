/* The matrix product that matmul.c, linear.c, attention.c and linear_cross_entropy.c share.
 *
 *     c[m][n] = sum_k act(a[m][k]) act(b[k][n]) + bias[n] + residual[m][n]
 *
 * Fill in a gemm_problem (what is not named is zero or NULL and means "without"):
 *
 *     gemm(&(gemm_problem){.rows = M, .columns = N, .inner = K, .a = a, .a_row = K, .a_inner = 1,
 *                          .b = b, .b_inner = N, .b_column = 1, .c = c, .c_row = N}, scratch);
 *
 * Each operand has two strides, so a transposed matrix is the same memory with its strides swapped.
 * One stride of a and of b should be 1 (anything else works, slowly); c's columns are contiguous.
 *
 *     gemm         uses the whole team; call it from outside any parallel region
 *     gemm_serial  uses the calling thread; call it from within one
 *
 * `scratch`: gemm_scratch(threads) floats. The result does not depend on the number of threads: each
 * element is summed by one thread in one order, k = 0, 1, 2, ...
 */
#pragma once
#include <stdint.h>

typedef struct {
    int64_t rows, columns, inner; /* M, N, K */
    const float *a;               /* a[m * a_row + k * a_inner] */
    int64_t a_row, a_inner;
    const float *b;        /* b[k * b_inner + n * b_column] */
    int64_t b_inner, b_column;
    float *c; /* c[m * c_row + n]; overlaps nothing but, exactly, residual */
    int64_t c_row;
    const float *bias;     /* (N) */
    const float *residual; /* laid out as c; c itself (without bias): c += a b */
    int a_activation, b_activation; /* activation.h's number; 0: none. An activated a has
                                     * a_inner = 1, an activated b has b_column = 1. */
    int64_t a_gate, b_gate; /* how far behind its operand an activation's gate lies; 0: no gate */
} gemm_problem;

static void gemm(const gemm_problem *p, float *scratch);
static void gemm_serial(const gemm_problem *p, float *scratch);
