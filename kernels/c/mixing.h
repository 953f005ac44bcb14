/* The finaliser of SplitMix, for hashes of 64 bits; what it does: mix in numpy_ref/minhash.py. */
#pragma once
#include <stdint.h>

static inline uint64_t mix64(uint64_t h) {
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
    return h ^ (h >> 31);
}
