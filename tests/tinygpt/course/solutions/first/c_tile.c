#include "activation.h"
#include "gemm.h"
#include "integers.h"
#include "simd.h"

INLINE void gemm_tile(const int rows, const int vectors, const int64_t a_row, const int64_t a_inner,
                      int64_t depth, const float *a, const float *b, const float *start,
                      int64_t start_row, float *c, int64_t c_row, int64_t tail) {
    int64_t columns = (vectors - 1) * LANES + tail;
    for (int i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float sum = start ? start[i * start_row + j] : 0;
            for (int64_t k = 0; k < depth; k++) sum += a[i * a_row + k * a_inner] * b[k * NR + j];
            c[i * c_row + j] = sum;
        }
}
