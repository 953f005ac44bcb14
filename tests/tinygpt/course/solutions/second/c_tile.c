#include "activation.h"
#include "gemm.h"
#include "integers.h"
#include "simd.h"

INLINE void gemm_tile(const int rows, const int vectors, const int64_t a_row, const int64_t a_inner,
                      int64_t depth, const float *a, const float *b, const float *start,
                      int64_t start_row, float *c, int64_t c_row, int64_t tail) {
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < vectors; j++) {
            int64_t n = j == vectors - 1 ? tail : LANES;
            vf sum = start ? v_load_part(start + i * start_row + j * LANES, n) : v_zero();
            for (int64_t k = 0; k < depth; k++)
                sum = v_fma(v_set1(a[i * a_row + k * a_inner]), v_load(b + k * NR + j * LANES), sum);
            v_store_part(c + i * c_row + j * LANES, sum, n);
        }
    }
}
