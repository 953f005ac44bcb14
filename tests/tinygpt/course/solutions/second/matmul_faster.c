#include <stdint.h>

typedef float v4 __attribute__((vector_size(16), aligned(4)));

void matmul(const float *a, const float *b, float *c, int64_t M, int64_t N, int64_t K) {
    for (int64_t i = 0; i < M; i++) {
        int64_t j = 0;
        for (; j + 16 <= N; j += 16) {
            v4 s[4] = {{0}, {0}, {0}, {0}};
            for (int64_t k = 0; k < K; k++)
                for (int q = 0; q < 4; q++)
                    s[q] += a[i * K + k] * *(const v4 *)(b + k * N + j + 4 * q);
            for (int q = 0; q < 4; q++) *(v4 *)(c + i * N + j + 4 * q) = s[q];
        }
        for (; j < N; j++) {
            float sum = 0;
            for (int64_t k = 0; k < K; k++) sum += a[i * K + k] * b[k * N + j];
            c[i * N + j] = sum;
        }
    }
}
