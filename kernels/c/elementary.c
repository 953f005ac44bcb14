/* simd_math.h over whole arrays: only the tests of its accuracy call these. */
#include "kernels.h"
#include "simd_math.h"

void exp_array(const float *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_exp(v_load(x + i)));
    if (i < n) v_store_part(y + i, v_exp(v_load_part(x + i, n - i)), n - i);
}

void exp_falling_array(const float *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_exp_falling(v_load(x + i)));
    if (i < n) v_store_part(y + i, v_exp_falling(v_load_part(x + i, n - i)), n - i);
}

void tanh_array(const float *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(y + i, v_tanh(v_load(x + i)));
    if (i < n) v_store_part(y + i, v_tanh(v_load_part(x + i, n - i)), n - i);
}
