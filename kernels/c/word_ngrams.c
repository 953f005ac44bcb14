/* A text as words, and the n-grams of words that repeat; what they mean: numpy_ref/word_ngrams.py.
 *
 *     split_words        text (size) -> hashes, lengths (words), counts (3); returned: how many words
 *     repeated_ngrams    words (count) -> found (most - 1, 3)
 *
 * Two passes over the text (words, then sentences), and for each n one over the n-grams whose first
 * n - 1 words stand there twice. On the calling thread: a document is small, and whoever has many
 * shares them among processes. Nothing overlaps.
 *
 * A table of slots finds what is equal: a key is (number of the (n-1)-gram, number of the word),
 * 31 bits each, looked for from the slot that its mixed bits name. Slots hold 1 + the number that
 * the n-gram gets, so a cleared one is free. At least half of them are.
 */
#include "kernels.h"
#include "mixing.h"

enum { WORD_SPACE = 1, WORD_LETTER = 2, WORD_EDGE = 4 };
enum { WORD_STOP = 8, WORD_CLOSE = 16, WORD_FULL = 32 };
#define WORD_P 0x9E3779B97F4A7C15u

static inline int word_kind(const uint32_t *text, int64_t i, const uint8_t *kinds, int64_t known) {
    return text[i] < known ? kinds[text[i]] : 0;
}

static int64_t word_sentences(const uint32_t *text, int64_t size, const uint8_t *kinds,
                              int64_t known) {
    int64_t sentences = 0;
    for (int64_t i = 0; i < size;) {
        if (!(word_kind(text, i, kinds, known) & WORD_STOP)) {
            i++;
            continue;
        }
        int64_t full = 0, end;
        for (int kind; i < size && (kind = word_kind(text, i, kinds, known)) & WORD_STOP; i++)
            full += (kind & WORD_FULL) != 0;
        for (end = i; end < size && word_kind(text, end, kinds, known) & WORD_CLOSE;) end++;
        int whole = end == size || word_kind(text, end, kinds, known) & WORD_SPACE;
        sentences += whole ? 1 : full;
    }
    return sentences;
}

/* hashes, lengths: room for size / 2 + 1 words, for `size` where every character is a token. */
int64_t split_words(const uint32_t *text, int64_t size, const uint8_t *kinds, int64_t known,
                    int64_t every, uint64_t *hashes, int64_t *lengths, int64_t *counts) {
    int64_t words = 0, tokens = 0, unlettered = 0;
    for (int64_t i = 0; i < size;) {
        int kind = word_kind(text, i, kinds, known), seen = 0;
        if (kind & WORD_SPACE) {
            i++;
            continue;
        }
        int64_t first = -1, last = -1;
        uint64_t h = 0, whole = 0;
        do {
            seen |= kind;
            if (first >= 0 || !(kind & WORD_EDGE)) h = h * WORD_P + text[i] + 1;
            if (!(kind & WORD_EDGE)) {
                if (first < 0) first = i;
                last = i;
                whole = h;
            }
            i++;
        } while (!every && i < size &&
                 !((kind = word_kind(text, i, kinds, known)) & WORD_SPACE));
        tokens++;
        unlettered += !(seen & WORD_LETTER);
        if (first >= 0) {
            hashes[words] = mix64(whole);
            lengths[words++] = last - first + 1;
        }
    }
    counts[0] = tokens;
    counts[1] = unlettered;
    counts[2] = word_sentences(text, size, kinds, known);
    return words;
}

/* The number of a key, a new one if it was not there; keys: of each number. */
static inline int64_t word_number(uint64_t key, uint64_t *keys, int64_t *count, int32_t *slots,
                                  int64_t mask) {
    for (int64_t at = (int64_t)(mix64(key) & (uint64_t)mask);; at = (at + 1) & mask) {
        int64_t number = (int64_t)slots[at] - 1;
        if (number < 0) {
            keys[*count] = key;
            slots[at] = (int32_t)(*count + 1);
            return (*count)++;
        }
        if (keys[number] == key) return number;
    }
}

static int64_t word_cleared(int32_t *slots, int64_t entries) {
    int64_t room = 16;
    while (room < 2 * entries) room *= 2;
    for (int64_t i = 0; i < room; i++) slots[i] = 0;
    return room - 1;
}

/* One n, of the `left` starts whose first n - 1 words stand there twice: those of which n words do
 * stay in starts and ids; returned: how many. */
static int64_t word_repeats(int64_t n, int64_t left, int64_t count, const int64_t *lengths,
                            const int32_t *number, int32_t *starts, int32_t *ids, int32_t *times,
                            uint64_t *keys, int32_t *slots, int64_t *found) {
    int64_t mask = word_cleared(slots, left), grams = 0, twice = 0;
    while (left && starts[left - 1] + n > count) left--;
    for (int64_t i = 0; i < left; i++) {
        uint64_t key = (uint64_t)ids[i] << 32 | (uint32_t)number[starts[i] + n - 1];
        int64_t before = grams, which = word_number(key, keys, &grams, slots, mask);
        times[which] = grams > before ? 1 : times[which] + 1;
        ids[i] = (int32_t)which;
    }
    int64_t most = 0, longest = 0, covered = 0, reached = 0;
    for (int64_t i = 0; i < left; i++) {
        int64_t start = starts[i], often = times[ids[i]];
        if (often < 2) continue;
        starts[twice] = (int32_t)start;
        ids[twice++] = ids[i];
        int64_t characters = 0;
        for (int64_t j = start; j < start + n; j++) {
            characters += lengths[j];
            if (j >= reached) covered += lengths[j];
        }
        reached = start + n;
        if (often > most || (often == most && characters > longest)) longest = characters;
        if (often > most) most = often;
    }
    found[0] = most;
    found[1] = longest;
    found[2] = covered;
    return twice;
}

/* Scratch: numbers for 4 * count int32 and the slots, a power of two of at least 2 * count and 16;
 * keys for count of them. found is cleared. */
void repeated_ngrams(const uint64_t *words, const int64_t *lengths, int64_t count, int64_t most,
                     int64_t *found, int32_t *numbers, int32_t *slots, uint64_t *keys) {
    int32_t *number = numbers, *starts = number + count, *ids = starts + count;
    int32_t *times = ids + count;
    int64_t mask = word_cleared(slots, count), different = 0;
    for (int64_t i = 0; i < count; i++) {
        ids[i] = number[i] = (int32_t)word_number(words[i], keys, &different, slots, mask);
        starts[i] = (int32_t)i;
    }
    int64_t left = count;
    for (int64_t n = 2; n <= most && left > 0; n++)
        left = word_repeats(n, left, count, lengths, number, starts, ids, times, keys, slots,
                            found + 3 * (n - 2));
}
