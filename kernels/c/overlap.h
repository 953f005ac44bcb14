/* Whether an update in place would write where another of its arrays lies.
 *
 * A parameter and its state are a few arrays of n floats, those that are written first. Two
 * parameters at a time: for forty of them some microseconds, a tenth of what Python would need.
 */
#pragma once
#include <stdint.h>

/* Does any of the `writes` first of one parameter's arrays meet any of another's (all `arrays` of
 * them)? `same`: it is the same parameter, and an array meets itself. */
static inline int overlap(const float *const *one, int64_t n, const float *const *other,
                          int64_t other_n, int writes, int arrays, int same) {
    for (int w = 0; w < writes; w++)
        for (int o = 0; o < arrays; o++)
            if (!(same && w == o) && one[w] < other[o] + other_n && other[o] < one[w] + n) return 1;
    return 0;
}
