/* c = a b by three loops, one number at a time: the first rung of the ladder.
 *
 * a: (M, K), b: (K, N), c: (M, N), row by row in memory; none overlaps another.
 */
#include <stdint.h>

void matmul(const float *a, const float *b, float *c, int64_t M, int64_t N, int64_t K) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            float sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[i * K + k] * b[k * N + j];
            c[i * N + j] = sum;
        }
}
