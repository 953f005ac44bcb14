/* Hashes of bytes in a row, and what is made of them; what they mean: numpy_ref/byte_ngrams.py.
 *
 *     byte_ngrams          text (size) -> hashes (size - n + 1)
 *     byte_ngram_counts    text (size) -> ids, counts; returned: how many
 *     byte_ngram_logits    logits (classes) += sum of sqrt(count / all counts) weight[bucket]
 *     byte_ngrams_known    text (size) -> how many of its n-grams are known
 *
 * One pass over the text for each n: what is hashed is in the first cache, and a pass without
 * branches goes in vectors. On the calling thread. Nothing overlaps.
 */
#include <math.h>
#include <string.h>

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

/* table: `buckets` counts; ids: room for as many as can be found; returned: how many. */
static int64_t byte_table(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                          int32_t *table, uint32_t *ids) {
    int64_t found = 0;
    memset(table, 0, sizeof(int32_t) * buckets);
    for (int64_t n = 1; n <= most; n++)
        for (int64_t i = 0; i + n <= size; i++) {
            uint32_t bucket = byte_hash(text + i, n) & (uint32_t)(buckets - 1);
            if (table[bucket]++ == 0) ids[found++] = bucket;
        }
    return found;
}

/* table, ids: as of byte_table; counts: as many as ids. */
int64_t byte_ngram_counts(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                          int32_t *table, uint32_t *ids, int32_t *counts) {
    int64_t found = byte_table(text, size, most, buckets, table, ids);
    for (int64_t i = 0; i < found; i++) counts[i] = table[ids[i]];
    return found;
}

/* weight: (buckets, classes).  table, ids: as of byte_table.  logits: the bias on entry. */
void byte_ngram_logits(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                       const float *weight, int64_t classes, int32_t *table, uint32_t *ids,
                       float *logits) {
    int64_t found = byte_table(text, size, most, buckets, table, ids), all = 0;
    for (int64_t i = 0; i < found; i++) all += table[ids[i]];
    for (int64_t i = 0; i < found; i++) {
        const float x = sqrtf((float)table[ids[i]] / (float)all), *row = weight + ids[i] * classes;
        for (int64_t c = 0; c < classes; c++) logits[c] += x * row[c];
    }
}

/* known: `buckets` of 0 or 1. */
int64_t byte_ngrams_known(const uint8_t *text, int64_t size, int64_t n, const uint8_t *known,
                          int64_t buckets) {
    int64_t count = 0;
    for (int64_t i = 0; i + n <= size; i++)
        count += known[byte_hash(text + i, n) & (uint32_t)(buckets - 1)];
    return count;
}
