/* Shingles of words and their MinHash signature; what they mean: numpy_ref/minhash.py.
 *
 *     shingle_hashes       text (size) -> hashes (words - n + 1), returned: how many
 *     minhash_signature    signature_k = min over x of (a_k x + b_k) >> 32
 *
 * One pass over the text, one over the hashes; on the calling thread, for documents are small and
 * whoever has many shares them among processes. Nothing overlaps.
 *
 * The signature is 120 multiplications for each word of a text: nearly all of the time. They go in
 * rows of MINHASH_ROW functions, whose minima stay in registers while the hashes pass.
 */
#include "kernels.h"
#include "mixing.h"

enum { MINHASH_ROW = 8 };
#define SHINGLE_P 0x9E3779B97F4A7C15u
#define SHINGLE_Q 0xD6E8FEB86659FD93u

/* words: scratch for size / 2 + 1 of them, as hashes holds. */
int64_t shingle_hashes(const uint8_t *text, int64_t size, int64_t n, uint64_t *hashes,
                       uint64_t *words) {
    int64_t count = 0;
    for (int64_t i = 0; i < size;) {
        uint64_t h = 0;
        if (text[i] == 32) {
            i++;
            continue;
        }
        for (; i < size && text[i] != 32; i++) h = h * SHINGLE_P + text[i] + 1;
        words[count++] = mix64(h);
    }
    if (count == 0) return 0;
    if (n > count) n = count;
    uint64_t h = words[0], highest = 1;
    for (int64_t i = 1; i < n; i++) {
        h = h * SHINGLE_Q + words[i];
        highest *= SHINGLE_Q;
    }
    hashes[0] = mix64(h);
    for (int64_t i = n; i < count; i++) {
        h = (h - words[i - n] * highest) * SHINGLE_Q + words[i];
        hashes[i - n + 1] = mix64(h);
    }
    return count - n + 1;
}

void minhash_signature(const uint64_t *hashes, int64_t count, const uint64_t *factors,
                       const uint64_t *offsets, uint32_t *signature, int64_t size) {
    int64_t k = 0;
    for (; k + MINHASH_ROW <= size; k += MINHASH_ROW) {
        uint32_t least[MINHASH_ROW];
        for (int j = 0; j < MINHASH_ROW; j++) least[j] = UINT32_MAX;
        for (int64_t i = 0; i < count; i++)
            for (int j = 0; j < MINHASH_ROW; j++) {
                uint32_t h = (uint32_t)((hashes[i] * factors[k + j] + offsets[k + j]) >> 32);
                least[j] = h < least[j] ? h : least[j];
            }
        for (int j = 0; j < MINHASH_ROW; j++) signature[k + j] = least[j];
    }
    for (; k < size; k++) {
        uint32_t least = UINT32_MAX;
        for (int64_t i = 0; i < count; i++) {
            uint32_t h = (uint32_t)((hashes[i] * factors[k] + offsets[k]) >> 32);
            least = h < least ? h : least;
        }
        signature[k] = least;
    }
}
