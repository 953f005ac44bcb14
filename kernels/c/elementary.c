/* simd_math.h over a whole array: only the test of its accuracy calls this. */
#include "kernels.h"
#include "simd_math.h"

void tanh_array(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t k = n - i < LANES ? n - i : LANES;
        v_store_part(y + i, v_tanh(v_load_part(x + i, k)), k);
    }
}

void exp_array(const float *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_exp(v_load(x + i)));
    if (i < n) v_store_part(y + i, v_exp(v_load_part(x + i, n - i)), n - i);
}
