/* Pre-tokens to ids: bpe.py's encoder in C.
 *
 * A pre-token seen before comes from the cache; a new one is merged. Short ones look at every pair
 * for each merge, which for the bytes of a word is fastest; long ones keep the pairs in a heap, so
 * that a megabyte without a space takes n log n.
 */
#include <stdlib.h>

#include "scan.h"
#include "table.h"
#include "tokenizer.h"

#define NO_RANK UINT32_MAX
enum {
    SHORT = 48,               /* bytes: longer pre-tokens are merged with the heap */
    CACHED = 128,             /* bytes: longer pre-tokens are not remembered */
    CACHE_SLOTS = 1 << 18,    /* 4 MB */
    CACHE_ARENA = 16 << 20,   /* bytes; the cache starts anew when it is full */
};

typedef struct { uint64_t key; uint32_t rank; int32_t id; } merge_slot;
typedef struct { int64_t start; uint32_t length; int32_t id; } whole_slot;

struct encoder {
    int32_t byte_ids[256];
    merge_slot *merges;  /* key = left << 32 | right */
    int64_t merge_slots;
    whole_slot *wholes;  /* pre-tokens that are tokens as they stand; NULL without */
    int64_t whole_slots;
    uint8_t *whole_bytes;
};

/* A slot names a record in the arena: the ids, then the bytes of the pre-token. */
typedef struct { uint32_t tag, start; uint16_t length, n_ids; } cache_slot;
struct cache {
    cache_slot *slots;
    uint8_t *arena;
    int64_t used, size;
};

static void add_merge(encoder *e, uint32_t left, uint32_t right, int64_t rank, int32_t id)
{
    uint64_t key = (uint64_t)left << 32 | right;
    int64_t s = hash_int(key) & (e->merge_slots - 1);
    while (e->merges[s].rank != NO_RANK)
        s = (s + 1) & (e->merge_slots - 1);
    e->merges[s] = (merge_slot){key, (uint32_t)rank, id};
}

/* One that knows the bytes and has room for n merges, which must differ. */
static encoder *encoder_of_bytes(const int32_t *byte_ids, int64_t n)
{
    encoder *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    memcpy(e->byte_ids, byte_ids, sizeof e->byte_ids);
    for (e->merge_slots = 16; e->merge_slots < 2 * n;)
        e->merge_slots *= 2;
    e->merges = malloc(e->merge_slots * sizeof *e->merges);
    if (!e->merges) {
        free(e);
        return NULL;
    }
    memset(e->merges, 0xFF, e->merge_slots * sizeof *e->merges);  /* rank NO_RANK: empty */
    return e;
}

/* merges: n_merges pairs of ids, the first learned first; merged_ids: what each becomes. */
encoder *encoder_new(const int32_t *byte_ids, int64_t n_merges, const int32_t *merges,
                     const int32_t *merged_ids)
{
    encoder *e = encoder_of_bytes(byte_ids, n_merges);
    for (int64_t k = 0; e && k < n_merges; k++)
        add_merge(e, merges[2 * k], merges[2 * k + 1], k, merged_ids[k]);
    return e;
}

void encoder_free(encoder *e)
{
    if (!e)
        return;
    free(e->merges);
    free(e->wholes);
    free(e->whole_bytes);
    free(e);
}

cache *cache_new(void)
{
    cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->slots = calloc(CACHE_SLOTS, sizeof *c->slots);
    c->arena = malloc(CACHE_ARENA);
    if (c->slots && c->arena)
        return c;
    cache_free(c);
    return NULL;
}

void cache_free(cache *c)
{
    if (!c)
        return;
    free(c->slots);
    free(c->arena);
    free(c);
}

/* ---- pre-tokens that are tokens, taken whole before any merge (tiktoken, Llama 3) ---- */

static whole_slot *find_whole(const encoder *e, const uint8_t *word, int64_t n)
{
    int64_t s = hash_bytes(word, n) & (e->whole_slots - 1);
    for (; e->wholes[s].length; s = (s + 1) & (e->whole_slots - 1))
        if (e->wholes[s].length == n && !memcmp(e->whole_bytes + e->wholes[s].start, word, n))
            break;
    return &e->wholes[s];
}

/* n words, all different, none empty: word k ends at ends[k] of bytes. Returns 0, or -1 without
 * memory. */
int encoder_add_whole_words(encoder *e, int64_t n, const uint8_t *bytes, const int64_t *ends,
                            const int32_t *ids)
{
    if (!n)
        return 0;
    for (e->whole_slots = 16; e->whole_slots < 2 * n;)
        e->whole_slots *= 2;
    e->wholes = calloc(e->whole_slots, sizeof *e->wholes);
    e->whole_bytes = malloc(ends[n - 1]);
    if (!e->wholes || !e->whole_bytes)
        return -1;
    memcpy(e->whole_bytes, bytes, ends[n - 1]);
    for (int64_t k = 0, start = 0; k < n; start = ends[k++])
        *find_whole(e, bytes + start, ends[k] - start) =
            (whole_slot){start, (uint32_t)(ends[k] - start), ids[k]};
    return 0;
}

/* ---- merging one pre-token ---- */

static inline uint32_t rank_of(const encoder *e, uint32_t left, uint32_t right, int32_t *id)
{
    uint64_t key = (uint64_t)left << 32 | right;
    int64_t s = hash_int(key) & (e->merge_slots - 1);
    for (; e->merges[s].rank != NO_RANK; s = (s + 1) & (e->merge_slots - 1))
        if (e->merges[s].key == key) {
            *id = e->merges[s].id;
            return e->merges[s].rank;
        }
    return NO_RANK;
}

/* Again and again the pair learned first, leftmost first. Returns the number of ids left. */
static int64_t merge_short(const encoder *e, uint32_t *ids, int64_t n)
{
    uint32_t rank[SHORT];
    int32_t made[SHORT];  /* the token that merging (i, i + 1) makes */
    for (int64_t i = 0; i + 1 < n; i++)
        rank[i] = rank_of(e, ids[i], ids[i + 1], &made[i]);
    while (n > 1) {
        int64_t best = 0;
        for (int64_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == NO_RANK)
            break;
        ids[best] = made[best];
        n--;
        for (int64_t i = best + 1; i < n; i++)
            ids[i] = ids[i + 1];
        for (int64_t i = best + 1; i + 1 < n; i++) {
            rank[i] = rank[i + 1];
            made[i] = made[i + 1];
        }
        if (best + 1 < n)
            rank[best] = rank_of(e, ids[best], ids[best + 1], &made[best]);
        if (best)
            rank[best - 1] = rank_of(e, ids[best - 1], ids[best], &made[best - 1]);
    }
    return n;
}

static void heap_push(uint64_t *heap, int64_t *size, uint64_t new)
{
    int64_t i = (*size)++;
    for (; i && new < heap[(i - 1) / 2]; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = new;
}

static uint64_t heap_pop(uint64_t *heap, int64_t *size)
{
    uint64_t top = heap[0], last = heap[--*size];
    int64_t i = 0, n = *size;
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && heap[child + 1] < heap[child];
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* The same for any length: (rank, position) in a heap, the ids in a doubly linked list. An entry is
 * stale when the pair at its position has another rank by now. */
static int64_t merge_long(const encoder *e, uint32_t *ids, int64_t n)
{
    int64_t size = 0, left = 0;
    uint32_t *after = malloc(4 * n * sizeof *after);
    uint64_t *heap = malloc(3 * n * sizeof *heap);  /* n at first, two more for each merge */
    if (!after || !heap) {
        free(after);
        free(heap);
        return -1;
    }
    uint32_t *before = after + n, *rank = after + 2 * n;
    int32_t *made = (int32_t *)(after + 3 * n);
    for (int64_t i = 0; i < n; i++) {
        after[i] = (uint32_t)i + 1;
        before[i] = (uint32_t)i - 1;
        rank[i] = i + 1 < n ? rank_of(e, ids[i], ids[i + 1], &made[i]) : NO_RANK;
        if (rank[i] != NO_RANK)
            heap_push(heap, &size, (uint64_t)rank[i] << 32 | i);
    }
    while (size) {
        uint64_t top = heap_pop(heap, &size);
        uint32_t i = (uint32_t)top, gone = after[i];
        if (rank[i] != top >> 32)
            continue;
        ids[i] = made[i];
        rank[gone] = NO_RANK;
        after[i] = after[gone];
        if (after[i] < n)
            before[after[i]] = i;
        rank[i] = after[i] < n ? rank_of(e, ids[i], ids[after[i]], &made[i]) : NO_RANK;
        if (rank[i] != NO_RANK)
            heap_push(heap, &size, (uint64_t)rank[i] << 32 | i);
        if (i) {
            uint32_t p = before[i];
            rank[p] = rank_of(e, ids[p], ids[i], &made[p]);
            if (rank[p] != NO_RANK)
                heap_push(heap, &size, (uint64_t)rank[p] << 32 | p);
        }
    }
    for (int64_t i = 0; i < n; i = after[i])
        ids[left++] = ids[i];
    free(after);
    free(heap);
    return left;
}

/* ids has room for n. Returns how many ids the word became, -1 without memory. */
static int64_t merge_bytes(const encoder *e, const uint8_t *word, int64_t n, uint32_t *ids)
{
    if (e->wholes) {
        const whole_slot *whole = find_whole(e, word, n);
        if (whole->length) {
            ids[0] = whole->id;
            return 1;
        }
    }
    for (int64_t i = 0; i < n; i++)
        ids[i] = e->byte_ids[word[i]];
    return n <= SHORT ? merge_short(e, ids, n) : merge_long(e, ids, n);
}

/* ---- which pair of tokens makes a token (tiktoken_ranks.py says why there is only one) ---- */

/* Of n tokens in the order of their ranks, none empty: token k ends at ends[k] of bytes and has
 * ids[k]. Writes the pair that makes it to pairs[2 k], -1 twice where none does. Returns n, or the
 * index of a token that needs one of higher rank, or -1 without memory. */
int64_t recover_pairs(int64_t n, const uint8_t *bytes, const int64_t *ends, const int32_t *ids,
                      int32_t *pairs)
{
    int32_t byte_ids[256];
    int64_t longest = 1, result = n;
    memset(byte_ids, 0xFF, sizeof byte_ids);
    for (int64_t k = 0, start = 0; k < n; start = ends[k++]) {
        longest = ends[k] - start > longest ? ends[k] - start : longest;
        if (ends[k] - start == 1)
            byte_ids[bytes[start]] = ids[k];
    }
    encoder *e = encoder_of_bytes(byte_ids, n);
    uint32_t *parts = malloc(longest * sizeof *parts);
    if (!e || !parts)
        result = -1;
    for (int round = 0; round < 2 && result == n; round++)
        for (int64_t k = 0, start = 0; k < n && result == n; start = ends[k++]) {
            if (round && pairs[2 * k] >= 0)
                continue;
            int64_t left = merge_bytes(e, bytes + start, ends[k] - start, parts);
            if (left < 0 || (round && left == 2))
                result = left < 0 ? left : k;
            pairs[2 * k] = left == 2 ? (int32_t)parts[0] : -1;
            pairs[2 * k + 1] = left == 2 ? (int32_t)parts[1] : -1;
            if (left == 2)
                add_merge(e, parts[0], parts[1], k, ids[k]);
        }
    encoder_free(e);
    free(parts);
    return result;
}

/* ---- the cache, and writing ids ---- */

static inline void write_ids(void *out, int64_t at, const uint32_t *ids, int64_t n, int width)
{
    if (width == 2)
        for (int64_t k = 0; k < n; k++)
            ((uint16_t *)out)[at + k] = (uint16_t)ids[k];
    else
        memcpy((uint32_t *)out + at, ids, n * sizeof *ids);
}

static void remember(cache *c, cache_slot *slot, uint32_t tag, const uint8_t *word, int64_t n,
                     const uint32_t *ids, int64_t n_ids)
{
    int64_t bytes = (n_ids * sizeof *ids + n + 3) / 4 * 4;
    if (4 * c->size > 3 * CACHE_SLOTS || c->used + bytes > CACHE_ARENA) {
        memset(c->slots, 0, CACHE_SLOTS * sizeof *c->slots);
        c->used = c->size = 0;
        return;  /* `slot` may lie behind an emptied one now: this word waits for its next time */
    }
    memcpy(c->arena + c->used, ids, n_ids * sizeof *ids);
    memcpy(c->arena + c->used + n_ids * sizeof *ids, word, n);
    *slot = (cache_slot){tag, (uint32_t)c->used, (uint16_t)n, (uint16_t)n_ids};
    c->used += bytes;
    c->size++;
}

/* Encode one word of n >= 1 bytes to out[at...]. Returns the number of ids, -1 without memory. */
static inline int64_t encode_word(const encoder *e, cache *c, const uint8_t *word, int64_t n,
                                  int width, void *out, int64_t at)
{
    uint32_t ids[CACHED];
    if (n > CACHED) {
        uint32_t *many = malloc(n * sizeof *many);
        int64_t n_ids = many ? merge_bytes(e, word, n, many) : -1;
        if (n_ids > 0)
            write_ids(out, at, many, n_ids, width);
        free(many);
        return n_ids;
    }
    uint64_t hash = hash_bytes(word, n);
    uint32_t tag = hash >> 32;
    cache_slot *slot = &c->slots[hash & (CACHE_SLOTS - 1)];
    while (slot->length) {
        const uint8_t *record = c->arena + slot->start;
        if (slot->tag == tag && slot->length == n
            && !memcmp(record + slot->n_ids * sizeof *ids, word, n)) {
            write_ids(out, at, (const uint32_t *)record, slot->n_ids, width);
            return slot->n_ids;
        }
        slot = slot + 1 < c->slots + CACHE_SLOTS ? slot + 1 : c->slots;
    }
    int64_t n_ids = merge_bytes(e, word, n, ids);
    if (n_ids < 0)
        return -1;
    write_ids(out, at, ids, n_ids, width);
    remember(c, slot, tag, word, n, ids, n_ids);
    return n_ids;
}

/* Cut text by a pattern's table and encode it, as far as `room` ids are sure to hold it.
 *
 * bytes_per_id: 2 or 4, the width of out. *written: how many ids went there.
 * Returns how many bytes were taken, -1 without memory, or SCAN_TOO_SLOW.
 */
int64_t encode_text(const encoder *e, cache *c, const scanner *s, const uint8_t *text, int64_t n,
                    int bytes_per_id, void *out, int64_t room, int64_t *written)
{
    scan_state scan = scan_begin(s, n);
    int64_t i = 0, at = 0;
    while (i < n) {
        int64_t end = scan_next(s, text, n, i, &scan);
        if (end < 0)
            return end;
        if (end - i > room - at)
            break;
        int64_t n_ids = encode_word(e, c, text + i, end - i, bytes_per_id, out, at);
        if (n_ids < 0)
            return -1;
        at += n_ids;
        i = end;
    }
    *written = at;
    return i;
}

/* Encode pre-tokens that somebody else cut; out has room for as many ids as they have bytes. */
int64_t encode_pieces(const encoder *e, cache *c, const uint8_t *text, const int64_t *ends,
                      int64_t n_pieces, int bytes_per_id, void *out)
{
    int64_t start = 0, at = 0;
    for (int64_t k = 0; k < n_pieces; start = ends[k++]) {
        if (ends[k] == start)
            continue;
        int64_t n = encode_word(e, c, text + start, ends[k] - start, bytes_per_id, out, at);
        if (n < 0)
            return -1;
        at += n;
    }
    return at;
}
