/* Hashes of bytes in a row, and their counts; what they mean: numpy_ref/byte_ngrams.py.
 *
 *     byte_ngrams          text (size) -> hashes (size - n + 1)
 *     byte_ngram_counts    text (size) -> ids, counts; returned: how many
 *
 * One pass over the text for each n: what is hashed is in the first cache, and a pass without
 * branches goes in vectors. On the calling thread. Nothing overlaps.
 */
#include "kernels.h"

static inline uint32_t byte_hash(const uint8_t *text, int64_t n) {
    uint32_t h = text[0];
    for (int64_t i = 1; i < n; i++) h = h * 0x01000193u ^ text[i];
    h = (h ^ (h >> 15)) * (0x85EBCA6Bu + 2 * (uint32_t)n);
    return h ^ (h >> 13);
}

void byte_ngrams(const uint8_t *text, int64_t size, int64_t n, uint32_t *hashes) {
    for (int64_t i = 0; i + n <= size; i++) hashes[i] = byte_hash(text + i, n);
}

/* table: scratch, `buckets` of them, cleared; ids, counts: room for as many as can be found. */
int64_t byte_ngram_counts(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                          int32_t *table, uint32_t *ids, int32_t *counts) {
    int64_t found = 0;
    for (int64_t n = 1; n <= most; n++)
        for (int64_t i = 0; i + n <= size; i++) {
            uint32_t bucket = byte_hash(text + i, n) & (uint32_t)(buckets - 1);
            if (table[bucket]++ == 0) ids[found++] = bucket;
        }
    for (int64_t i = 0; i < found; i++) counts[i] = table[ids[i]];
    return found;
}
