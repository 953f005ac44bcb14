/* Stages 2 to 5 of training: trainer.py in C, with the same names.
 *
 *   spell    every word of two bytes or more becomes a run of ids in `symbols`; it only ever shrinks
 *   index    a table of pairs: how often each occurs, and a list of the words it occurs in
 *   queue    a binary heap of (count, pair); counts there may be stale and are checked when popped
 *   merge    rewrite the words in the best pair's list, adjusting the counts of their other pairs
 *
 * A pair is one 64-bit key, left << 32 | right, so comparing keys compares pairs. Every pair born in
 * a merge holds that merge's new token, so each pair is born once and queued once.
 *
 * Memory per distinct word of n bytes: 4 n for symbols, 8 (n - 1) for the index, 24 for the rest.
 */
#include <stdlib.h>

#include "table.h"
#include "words.h"

#define NONE UINT32_MAX
#define EMPTY UINT64_MAX  /* no pair has this key: ids stay below 2^31 */

typedef struct { uint64_t key; int64_t count; uint32_t where, born; } pair_slot;
typedef struct { uint32_t word, next; } node;  /* one entry in a pair's list of words */
typedef struct { int64_t count; uint64_t key; } candidate;

struct trainer {
    int64_t n_words;
    int64_t *start, *count;  /* of each word: its first symbol, its occurrences */
    uint32_t *length, *symbols;

    pair_slot *pairs;
    int64_t pair_slots, n_pairs;
    node *nodes;
    int64_t n_nodes, node_room;
    uint32_t free_node;

    candidate *heap;
    int64_t heap_size, heap_room;
    uint64_t *fresh;  /* pairs born in the merge under way */
    int64_t n_fresh, fresh_room;

    uint32_t step;  /* merges made so far: the next one makes the token 256 + step */
    int failed;     /* out of memory: checked once per merge */
};

/* `array` with room for one more element; without memory it stays as it is and t->failed is set. */
static void *reserve(trainer *t, void *array, int64_t size, int64_t *room, size_t element)
{
    int64_t wanted = *room ? 2 * *room : 1024;
    if (size < *room)
        return array;
    void *grown = realloc(array, wanted * element);
    if (!grown)
        return t->failed = 1, array;
    *room = wanted;
    return grown;
}

/* ---- the table of pairs ---- */

static pair_slot *find_pair(trainer *t, uint64_t key)
{
    int64_t s = hash_int(key) & (t->pair_slots - 1);
    while (t->pairs[s].key != key && t->pairs[s].key != EMPTY)
        s = (s + 1) & (t->pair_slots - 1);
    return &t->pairs[s];
}

static int new_pair_table(trainer *t, int64_t slots)
{
    pair_slot *old = t->pairs, *pairs = malloc(slots * sizeof *pairs);
    int64_t old_slots = t->pair_slots;
    if (!pairs)
        return 0;
    memset(pairs, 0xFF, slots * sizeof *pairs);  /* every key EMPTY, every list NONE */
    t->pairs = pairs;
    t->pair_slots = slots;
    for (int64_t s = 0; s < old_slots; s++)
        if (old[s].key != EMPTY)
            *find_pair(t, old[s].key) = old[s];
    free(old);
    return 1;
}

/* The pair's count changes by `change`; when it grows, it also occurs in `word` now. */
static void change_pair(trainer *t, uint32_t left, uint32_t right, int64_t change, uint32_t word)
{
    uint64_t key = (uint64_t)left << 32 | right;
    pair_slot *pair = find_pair(t, key);
    if (pair->key == EMPTY) {
        if (2 * t->n_pairs >= t->pair_slots) {
            if (!new_pair_table(t, 2 * t->pair_slots)) {
                t->failed = 1;
                return;
            }
            pair = find_pair(t, key);
        }
        *pair = (pair_slot){key, 0, NONE, NONE};
        t->n_pairs++;
    }
    pair->count += change;
    if (change < 0)
        return;
    if (pair->born != t->step) {
        pair->born = t->step;
        t->fresh = reserve(t, t->fresh, t->n_fresh, &t->fresh_room, sizeof key);
        if (t->failed)
            return;
        t->fresh[t->n_fresh++] = key;
    }
    if (pair->where != NONE && t->nodes[pair->where].word == word)
        return;  /* a word is rewritten in one go, so its repeats come one after the other */
    uint32_t at = t->free_node;
    if (at != NONE) {
        t->free_node = t->nodes[at].next;
    } else {
        t->nodes = reserve(t, t->nodes, t->n_nodes, &t->node_room, sizeof *t->nodes);
        if (t->failed)
            return;
        at = (uint32_t)t->n_nodes++;
    }
    t->nodes[at] = (node){word, pair->where};
    pair->where = at;
}

/* ---- the queue: highest count first, then the smaller pair ---- */

static int better(candidate a, candidate b)
{
    return a.count != b.count ? a.count > b.count : a.key < b.key;
}

static void sift_down(candidate *heap, int64_t n, int64_t i)
{
    candidate moving = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(heap[child + 1], heap[child]))
            child++;
        if (!better(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

static void push(trainer *t, candidate new)
{
    t->heap = reserve(t, t->heap, t->heap_size, &t->heap_room, sizeof new);
    if (t->failed)
        return;
    int64_t i = t->heap_size++;
    for (; i && better(new, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = new;
}

static void queue_fresh_pairs(trainer *t)
{
    for (int64_t k = 0; k < t->n_fresh; k++)
        push(t, (candidate){find_pair(t, t->fresh[k])->count, t->fresh[k]});
    t->n_fresh = 0;
}

/* ---- building ---- */

static int spell(trainer *t, const words *w, const uint8_t *byte_ids)
{
    int64_t n_symbols = 0, n = 0;
    for (int64_t s = 0; s < w->slots; s++)
        if (w->table[s].count && w->table[s].length > 1) {
            n_symbols += w->table[s].length;
            n++;
        }
    t->n_words = n;
    t->start = malloc((n + 1) * sizeof *t->start);
    t->count = malloc((n + 1) * sizeof *t->count);
    t->length = malloc((n + 1) * sizeof *t->length);
    t->symbols = malloc((n_symbols + 1) * sizeof *t->symbols);
    if (!t->start || !t->count || !t->length || !t->symbols || n >= NONE)
        return 0;
    n = n_symbols = 0;
    for (int64_t s = 0; s < w->slots; s++) {
        const word_slot *slot = &w->table[s];
        if (!slot->count || slot->length < 2)
            continue;
        t->start[n] = n_symbols;
        t->count[n] = slot->count;
        t->length[n++] = slot->length;
        for (uint32_t k = 0; k < slot->length; k++)
            t->symbols[n_symbols++] = byte_ids[w->arena[slot->start + k]];
    }
    return 1;
}

static void index_pairs(trainer *t)
{
    for (int64_t k = 0; k < t->n_words && !t->failed; k++) {
        const uint32_t *word = t->symbols + t->start[k];
        for (uint32_t i = 0; i + 1 < t->length[k]; i++)
            change_pair(t, word[i], word[i + 1], t->count[k], (uint32_t)k);
    }
    queue_fresh_pairs(t);
}

/* byte_ids: the id of each byte. The words may be freed afterwards. */
trainer *trainer_new(const words *w, const uint8_t *byte_ids)
{
    trainer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->free_node = NONE;
    if (!new_pair_table(t, 1 << 16) || !spell(t, w, byte_ids)) {
        trainer_free(t);
        return NULL;
    }
    index_pairs(t);
    if (t->failed) {
        trainer_free(t);
        return NULL;
    }
    return t;
}

void trainer_free(trainer *t)
{
    if (!t)
        return;
    void *all[] = {t->start, t->count, t->length, t->symbols, t->pairs, t->nodes, t->heap,
                   t->fresh};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    free(t);
}

/* ---- merging ---- */

/* Replace (left, right) by `new` in one word, from left to right, and keep its pairs' counts. */
static void merge_word(trainer *t, uint32_t w, uint32_t left, uint32_t right, uint32_t new)
{
    uint32_t *word = t->symbols + t->start[w], n = t->length[w], out = 0;
    int64_t count = t->count[w];
    for (uint32_t i = 0; i < n; i++) {
        if (word[i] != left || i + 1 == n || word[i + 1] != right) {
            word[out++] = word[i];
            continue;
        }
        if (out) {
            change_pair(t, word[out - 1], left, -count, w);
            change_pair(t, word[out - 1], new, count, w);
        }
        if (i + 2 < n) {
            change_pair(t, right, word[i + 2], -count, w);
            change_pair(t, new, word[i + 2], count, w);
        }
        word[out++] = new;
        i++;
    }
    t->length[w] = out;
}

/* Rewrite every word in the pair's list, and give the list's nodes back. */
static void merge_pair(trainer *t, uint64_t key)
{
    uint32_t new = 256 + t->step++;
    pair_slot *pair = find_pair(t, key);
    uint32_t at = pair->where;
    pair->where = NONE;
    while (at != NONE && !t->failed) {
        node here = t->nodes[at];
        t->nodes[at].next = t->free_node;
        t->free_node = at;
        merge_word(t, here.word, key >> 32, (uint32_t)key, new);
        at = here.next;
    }
}

/* Learn up to max_merges more, while a pair occurs min_count >= 1 times. Writes (left, right) for
 * each; returns how many, or -1 without memory. */
int64_t trainer_run(trainer *t, int64_t max_merges, int64_t min_count, int32_t *merges)
{
    int64_t made = 0;
    while (made < max_merges && t->heap_size) {
        candidate best = t->heap[0];
        int64_t count = find_pair(t, best.key)->count;
        if (count != best.count && count >= min_count) {
            t->heap[0].count = count;  /* stale: queue it again with what is left of it */
            sift_down(t->heap, t->heap_size, 0);
            continue;
        }
        t->heap[0] = t->heap[--t->heap_size];
        sift_down(t->heap, t->heap_size, 0);
        if (count < min_count)
            continue;
        merge_pair(t, best.key);
        queue_fresh_pairs(t);
        if (t->failed)
            return -1;
        merges[2 * made] = (int32_t)(best.key >> 32);
        merges[2 * made++ + 1] = (int32_t)best.key;
    }
    return made;
}
