#include <stdint.h>
#include <string.h>

void matmul(const float *a, const float *b, float *c, int64_t M, int64_t N, int64_t K) {
    memset(c, 0, M * N * sizeof *c);
    for (int64_t i = 0; i < M; i++)
        for (int64_t k = 0; k < K; k++) {
            float x = a[i * K + k];
            const float *from = b + k * N;
            float *restrict to = c + i * N;
            for (int64_t j = 0; j < N; j++) to[j] += x * from[j];
        }
}
