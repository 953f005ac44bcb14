/* Stage 1 of training: how often each distinct pre-token occurs.
 *
 * One table of (hash, where the bytes are, how many, count) and one arena that holds each distinct
 * word's bytes once: 24 bytes a slot, at most 2/3 of them used, plus the bytes themselves.
 */
#include <stdlib.h>

#include "scan.h"
#include "table.h"
#include "words.h"

words *words_new(void)
{
    words *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->slots = 1 << 12;
    w->room = 1 << 16;
    w->table = calloc(w->slots, sizeof *w->table);
    w->arena = malloc(w->room);
    if (w->table && w->arena)
        return w;
    words_free(w);
    return NULL;
}

void words_free(words *w)
{
    if (!w)
        return;
    free(w->table);
    free(w->arena);
    free(w);
}

int64_t words_size(const words *w) { return w->size; }
int64_t words_text_size(const words *w) { return w->used; }
int64_t words_memory(const words *w) { return w->slots * (int64_t)sizeof *w->table + w->room; }

static int grow_table(words *w)
{
    int64_t slots = 2 * w->slots;
    word_slot *table = calloc(slots, sizeof *table);
    if (!table)
        return -1;
    for (int64_t k = 0; k < w->slots; k++) {
        if (!w->table[k].count)
            continue;
        const word_slot *old = &w->table[k];
        int64_t s = hash_bytes(w->arena + old->start, old->length) & (slots - 1);
        while (table[s].count)
            s = (s + 1) & (slots - 1);
        table[s] = *old;
    }
    free(w->table);
    w->table = table;
    w->slots = slots;
    return 0;
}

static int keep_bytes(words *w, const uint8_t *word, int64_t n)
{
    if (w->used + n > w->room) {
        int64_t room = w->room + w->room / 2 + n;
        uint8_t *arena = realloc(w->arena, room);
        if (!arena)
            return -1;
        w->arena = arena;
        w->room = room;
    }
    memcpy(w->arena + w->used, word, n);
    w->used += n;
    return 0;
}

/* Add `count` occurrences of one word. Returns 0, or -1 without memory. */
int words_add(words *w, const uint8_t *word, int64_t n, int64_t count)
{
    uint64_t hash = hash_bytes(word, n);
    uint32_t tag = hash >> 32;
    int64_t s = hash & (w->slots - 1);
    for (; w->table[s].count; s = (s + 1) & (w->slots - 1)) {
        word_slot *slot = &w->table[s];
        if (slot->tag == tag && slot->length == n && !memcmp(w->arena + slot->start, word, n)) {
            slot->count += count;
            return 0;
        }
    }
    w->table[s] = (word_slot){count, w->used, (uint32_t)n, tag};
    if (keep_bytes(w, word, n)) {
        w->table[s].count = 0;
        return -1;
    }
    w->size++;
    return 3 * w->size > 2 * w->slots ? grow_table(w) : 0;
}

/* Cut text and count its words; stop early when the table would outgrow max_bytes (0: never).
 *
 * is_last: nothing follows this text; else words that more text could change are left.
 * Returns how many bytes were taken, or -1 without memory.
 */
int64_t words_add_text(words *w, int pattern, const uint8_t *classes, const uint8_t *text,
                       int64_t n, int is_last, int64_t max_bytes)
{
    int64_t i = 0, reach;
    while (i < n) {
        int64_t end = scan_next(pattern, classes, text, n, i, &reach);
        if (!is_last && reach + SCAN_MARGIN > n)
            break;
        if (max_bytes && words_memory(w) > max_bytes)
            break;
        if (words_add(w, text + i, end - i, 1))
            return -1;
        i = end;
    }
    return i;
}

/* Copy out every word: its bytes one after the other, where each ends, how often it occurs. */
void words_export(const words *w, uint8_t *text, int64_t *ends, int64_t *counts)
{
    int64_t at = 0, k = 0;
    for (int64_t s = 0; s < w->slots; s++) {
        const word_slot *slot = &w->table[s];
        if (!slot->count)
            continue;
        memcpy(text + at, w->arena + slot->start, slot->length);
        ends[k] = at += slot->length;
        counts[k++] = slot->count;
    }
}
