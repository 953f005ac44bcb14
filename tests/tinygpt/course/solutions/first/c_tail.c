#include "kernels.h"
#include "rows.h"

void softmax_backward(const float *dy, const float *y, float *dx, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        float dot = 0;
        for (int64_t i = 0; i < columns; i++) dot += dy[r * columns + i] * y[r * columns + i];
        for (int64_t i = 0; i < columns; i++)
            dx[r * columns + i] = y[r * columns + i] * (dy[r * columns + i] - dot);
    }
}
