/* Hashing shared by the tables of this folder: open addressing, sizes that are powers of two. */
#ifndef TABLE_H
#define TABLE_H
#include <stdint.h>
#include <string.h>

/* Finalizer that lets every input bit reach every output bit (Steele et al. 2014, splitmix64). */
static inline uint64_t hash_int(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Eight bytes at a time; words are short, so this is two or three multiplications. */
static inline uint64_t hash_bytes(const uint8_t *bytes, int64_t n)
{
    uint64_t hash = (uint64_t)n * UINT64_C(0x9E3779B97F4A7C15), part;
    for (; n >= 8; bytes += 8, n -= 8) {
        memcpy(&part, bytes, 8);
        hash = (hash ^ part) * UINT64_C(0xBF58476D1CE4E5B9);
        hash ^= hash >> 29;
    }
    part = 0;
    for (int64_t k = 0; k < n; k++)
        part |= (uint64_t)bytes[k] << (8 * k);
    return hash_int(hash ^ part);
}
#endif
