/* Where work begins and ends: whole numbers that several kernels need. */
#pragma once
#include <stdint.h>

static inline int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}
