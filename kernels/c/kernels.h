/* Every C kernel's signature, once: the compiler and cffi (build.py) both read this file.
 *
 * Conventions. Arrays are float32 and C-contiguous unless strides are passed; sizes and strides are
 * int64_t and strides count elements, not bytes. Inputs are const, come first, and never overlap
 * the outputs unless a comment says so; Python has checked every shape. `scratch` is memory that
 * the caller lends for the length of the call (kernels.memory.scratch).
 */
#pragma once
#include <stdint.h>

/* cpu.c */
int cpu_can_run(int isa); /* 0 generic, 1 avx2, 2 avx512: by this CPU and this OS? */
int has_openmp(void);

/* parallel.h */
void set_threads(int threads);
int get_threads(void);

/* elementary.c */
void exp_array(const float *x, float *y, int64_t n);
void tanh_array(const float *x, float *y, int64_t n);

/* adamw.c */

/* attention.c */

/* cross_entropy.c */

/* dropout.c */

/* embedding.c */

/* gelu.c */

/* layernorm.c */

/* linear.c */

/* linear_cross_entropy.c */

/* matmul.c */

/* rmsnorm.c */

/* softmax.c */
void softmax_forward(const float *x, float *y, int64_t rows, int64_t columns);
void softmax_backward(const float *dy, const float *y, float *dx, int64_t rows, int64_t columns);
