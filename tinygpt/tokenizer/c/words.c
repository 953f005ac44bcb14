/* Stage 1 of training: how often each distinct pre-token occurs.
 *
 * One table of (hash, where the bytes are, how many, count) and one arena that holds each distinct
 * word's bytes once: 24 bytes a slot, at most 2/3 of them used, plus the bytes themselves.
 *
 * The high bits of the hash choose the slot, so that the table is almost in the order of the hashes.
 * words_spill needs them in that order, and gets it with an insertion sort in linear time.
 */
#include <stdio.h>
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

static int64_t word_slot_of(uint32_t tag, int64_t slots)
{
    return (int64_t)((uint64_t)tag * (uint64_t)slots >> 32);
}

static int table_is_full(const words *w) { return 3 * w->size > 2 * w->slots; }
static int64_t larger_room(const words *w, int64_t n) { return w->room + w->room / 2 + n; }

/* Bytes held for a moment if one more word of n bytes comes: old and new table, old and new arena. */
static int64_t memory_peak(const words *w, int64_t n)
{
    int64_t table = w->slots * (int64_t)sizeof *w->table, arena = w->room;
    if (3 * (w->size + 1) > 2 * w->slots)
        table *= 3;
    if (w->used + n > w->room)
        arena += larger_room(w, n);
    return table + arena;
}

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
        int64_t s = word_slot_of(old->tag, slots);
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
        int64_t room = larger_room(w, n);
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
    uint32_t tag = hash_bytes(word, n) >> 32;
    int64_t s = word_slot_of(tag, w->slots);
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
    return table_is_full(w) ? grow_table(w) : 0;
}

/* Cut text and count its words; stop early when the table would outgrow max_bytes (0: never).
 *
 * is_last: nothing follows this text; else words that more text could change are left.
 * *full: did it stop for max_bytes? Returns how many bytes were taken, -1 without memory, or
 * SCAN_TOO_SLOW.
 */
int64_t words_add_text(words *w, const scanner *s, const uint8_t *text, int64_t n, int is_last,
                       int64_t max_bytes, int *full)
{
    scan_state scan = scan_begin(s, n);
    int64_t i = 0;
    *full = 0;
    while (i < n) {
        int64_t end = scan_next(s, text, n, i, &scan);
        if (end < 0)
            return end;
        if (!is_last && scan.reach + SCAN_MARGIN > n)
            break;
        if (max_bytes && w->size && memory_peak(w, end - i) > max_bytes) {
            *full = 1;
            break;
        }
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

/* ---- runs: the words on disk, sorted, so that several tables can be added up in one pass ---- */

/* Order of a run: by hash, then by length, then by bytes. */
int word_order(uint32_t tag_a, uint32_t n_a, const uint8_t *a, uint32_t tag_b, uint32_t n_b,
               const uint8_t *b)
{
    if (tag_a != tag_b)
        return tag_a < tag_b ? -1 : 1;
    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    return memcmp(a, b, n_a);
}

/* Write all words to `path` in order and empty the table. Returns 0, or -2 if it cannot be written.
 * A record is (int64 count, uint32 tag, uint32 length, bytes). */
int words_spill(words *w, const char *path)
{
    FILE *file = fopen(path, "wb");
    int64_t n = 0;
    if (!file)
        return -2;
    for (int64_t s = 0; s < w->slots; s++) {  /* close up; insert each where it belongs */
        if (!w->table[s].count)
            continue;
        word_slot moving = w->table[s];
        int64_t k = n++;
        for (; k; k--) {
            const word_slot *before = &w->table[k - 1];
            if (word_order(before->tag, before->length, w->arena + before->start, moving.tag,
                           moving.length, w->arena + moving.start) <= 0)
                break;
            w->table[k] = *before;
        }
        w->table[k] = moving;
    }
    for (int64_t k = 0; k < n; k++) {
        const word_slot *slot = &w->table[k];
        word_record head = {slot->count, slot->tag, slot->length};
        fwrite(&head, sizeof head, 1, file);
        fwrite(w->arena + slot->start, 1, slot->length, file);
    }
    memset(w->table, 0, w->slots * sizeof *w->table);
    w->size = w->used = 0;
    int failed = ferror(file);
    return fclose(file) || failed ? -2 : 0;
}
