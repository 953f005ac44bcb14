/* The table of distinct words, filled by words.c and read by train.c. */
#ifndef WORDS_H
#define WORDS_H
#include "tokenizer.h"

typedef struct {
    int64_t count;    /* 0: the slot is empty */
    int64_t start;    /* of its bytes in the arena */
    uint32_t length;  /* bytes */
    uint32_t tag;     /* high half of the hash: most different words differ here already */
} word_slot;

typedef struct {
    int64_t count;
    uint32_t tag, length;
} word_record;  /* in a run on disk, before the word's bytes */

struct words {
    word_slot *table;
    int64_t slots, size;  /* slots is a power of two; size of them are in use */
    uint8_t *arena;
    int64_t used, room;   /* bytes */
};

int word_order(uint32_t tag_a, uint32_t n_a, const uint8_t *a, uint32_t tag_b, uint32_t n_b,
               const uint8_t *b);
#endif
