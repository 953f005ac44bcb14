/* Training when the distinct words do not fit in memory: the same merges from a file of words.
 *
 * The words lie on a tape, a file of records (int64 count, uint32 n, n ids), read from end to end.
 * In memory are only the counts of pairs. One pass makes a whole batch of merges, as long as it is
 * certain that one at a time would have made the same:
 *
 *   Take pairs in order of count. Merging (l, r) lowers the counts of pairs that end in l or begin
 *   with r, and of no other. Each pair that it creates, (x, lr) or (lr, y), is at most as frequent
 *   as (x, l) or (r, y) was, and comes after it in a tie. So as long as the next pair in order ends
 *   in no l and begins with no r of the batch, its count still holds and nothing can overtake it.
 *   The first pair that does ends the batch; so does a pair (a, a), since what bounds (aa, a) is then
 *   (a, a) itself. For the same reason two merges of a batch never want the same symbol, and one
 *   sweep over a word applies them all.
 *
 * Passes shrink the tape: merged words get shorter, and words of a single id are dropped.
 */
#include <stdio.h>
#include <stdlib.h>

#include "table.h"
#include "words.h"

enum { BATCH = 512, BATCH_SLOTS = 2048 };
#define NO_PAIR UINT64_MAX

typedef struct { uint64_t key; int64_t count; } counted_pair;
typedef struct { uint64_t key; uint32_t new; } batch_slot;
typedef struct { int64_t count; uint32_t n; } tape_record;

struct tape {
    char *path, *scratch;  /* the tape, and the one the next pass writes */
    counted_pair *pairs;
    int64_t slots, n_pairs, max_bytes;
    counted_pair best[BATCH];  /* a heap with the worst of the best on top, then sorted */
    int64_t n_best;
    batch_slot batch[BATCH_SLOTS];
    uint8_t *is_left, *is_right;  /* per id: does it stand there in a merge of the batch? */
    uint32_t *word;  /* the record in hand */
    int64_t word_room, flag_room;
    uint32_t n_merges;
};

/* ---- from sorted runs to one tape ---- */

typedef struct { FILE *file; word_record head; uint8_t *bytes; uint32_t room; int done; } run;

/* Read the next word of a run. Returns 0, or -1 without memory, -2 for a damaged file. */
static int run_next(run *r)
{
    if (fread(&r->head, sizeof r->head, 1, r->file) != 1) {
        r->done = 1;
        return ferror(r->file) ? -2 : 0;
    }
    if (r->head.length > r->room) {
        uint8_t *grown = realloc(r->bytes, 2 * (int64_t)r->head.length);
        if (!grown)
            return -1;
        r->bytes = grown;
        r->room = r->head.length < UINT32_MAX / 2 ? 2 * r->head.length : r->head.length;
    }
    return fread(r->bytes, 1, r->head.length, r->file) == r->head.length ? 0 : -2;
}

static int compare_runs(const run *a, const run *b)
{
    return word_order(a->head.tag, a->head.length, a->bytes, b->head.tag, b->head.length, b->bytes);
}

/* Write the word of `first` with its count over all runs, and move those runs on. */
static int64_t write_sum(run *runs, int64_t n, int64_t first, const uint8_t *byte_ids, FILE *out)
{
    tape_record head = {0, runs[first].head.length};
    for (int64_t k = first; k < n; k++)
        if (!runs[k].done && (k == first || !compare_runs(&runs[k], &runs[first])))
            head.count += runs[k].head.count;
    if (head.n > 1) {
        fwrite(&head.count, sizeof head.count, 1, out);
        fwrite(&head.n, sizeof head.n, 1, out);
        for (uint32_t i = 0; i < head.n; i++) {
            uint32_t id = byte_ids[runs[first].bytes[i]];
            fwrite(&id, sizeof id, 1, out);
        }
    }
    for (int64_t k = n - 1; k >= first; k--)  /* `first` last: the others are compared with it */
        if (!runs[k].done && (k == first || !compare_runs(&runs[k], &runs[first]))) {
            int failed = run_next(&runs[k]);
            if (failed)
                return failed;
        }
    return 0;
}

/* Add up sorted runs into a tape at `path`. Returns the number of distinct words. */
int64_t runs_to_tape(int64_t n_runs, const char **paths, const char *path, const uint8_t *byte_ids)
{
    run *runs = calloc(n_runs, sizeof *runs);
    FILE *out = fopen(path, "wb");
    int64_t result = !runs ? -1 : out ? 0 : -2;
    for (int64_t k = 0; k < n_runs && result >= 0; k++) {
        runs[k].file = fopen(paths[k], "rb");
        result = runs[k].file ? run_next(&runs[k]) : -2;
    }
    while (result >= 0) {
        int64_t first = -1, failed;
        for (int64_t k = 0; k < n_runs; k++)
            if (!runs[k].done && (first < 0 || compare_runs(&runs[k], &runs[first]) < 0))
                first = k;
        if (first < 0)
            break;
        failed = write_sum(runs, n_runs, first, byte_ids, out);
        result = failed ? failed : result + 1;
    }
    for (int64_t k = 0; runs && k < n_runs; k++) {
        if (runs[k].file)
            fclose(runs[k].file);
        free(runs[k].bytes);
    }
    free(runs);
    if (out && (ferror(out) | fclose(out)) && result >= 0)
        result = -2;
    return result;
}

/* ---- counts of pairs ---- */

static counted_pair *find_count(counted_pair *pairs, int64_t slots, uint64_t key)
{
    int64_t s = hash_int(key) & (slots - 1);
    while (pairs[s].key != key && pairs[s].key != NO_PAIR)
        s = (s + 1) & (slots - 1);
    return &pairs[s];
}

/* A table with twice the pairs that still occur. Returns 0, -1 without memory or beyond max_bytes. */
static int rebuild_counts(tape *t)
{
    int64_t alive = 0, slots = 1 << 16;
    for (int64_t s = 0; s < t->slots; s++)
        alive += t->pairs[s].key != NO_PAIR && t->pairs[s].count;
    while (slots < 3 * alive)
        slots *= 2;
    counted_pair *pairs = NULL;
    if ((slots + t->slots) * (int64_t)sizeof *pairs <= t->max_bytes)
        pairs = malloc(slots * sizeof *pairs);
    if (!pairs)
        return -1;
    memset(pairs, 0xFF, slots * sizeof *pairs);
    for (int64_t s = 0; s < t->slots; s++)
        if (t->pairs[s].key != NO_PAIR && t->pairs[s].count)
            *find_count(pairs, slots, t->pairs[s].key) = t->pairs[s];
    free(t->pairs);
    t->pairs = pairs;
    t->slots = slots;
    t->n_pairs = alive;
    return 0;
}

/* Add `change` to the count of every pair of neighbours in a word. */
static int count_word(tape *t, const uint32_t *word, uint32_t n, int64_t change)
{
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint64_t key = (uint64_t)word[i] << 32 | word[i + 1];
        counted_pair *pair = find_count(t->pairs, t->slots, key);
        if (pair->key == NO_PAIR) {
            if (4 * ++t->n_pairs > 3 * t->slots) {
                if (rebuild_counts(t))
                    return -1;
                t->n_pairs++;
                pair = find_count(t->pairs, t->slots, key);
            }
            *pair = (counted_pair){key, 0};
        }
        pair->count += change;
    }
    return 0;
}

/* ---- choosing a batch ---- */

static int precedes(counted_pair a, counted_pair b)
{
    return a.count != b.count ? a.count > b.count : a.key < b.key;
}

static int by_precedence(const void *a, const void *b)
{
    return precedes(*(const counted_pair *)a, *(const counted_pair *)b) ? -1 : 1;
}

/* Put `new` into the place i of the heap of the best, and sift it down. */
static void settle(tape *t, int64_t i, counted_pair new)
{
    for (int64_t child; (child = 2 * i + 1) < t->n_best; i = child) {
        child += child + 1 < t->n_best && precedes(t->best[child], t->best[child + 1]);
        if (!precedes(new, t->best[child]))
            break;
        t->best[i] = t->best[child];
    }
    t->best[i] = new;
}

/* The BATCH best pairs, in order. */
static void find_best(tape *t, int64_t min_count)
{
    t->n_best = 0;
    for (int64_t s = 0; s < t->slots; s++) {
        counted_pair pair = t->pairs[s];
        if (pair.key == NO_PAIR || pair.count < min_count)
            continue;
        if (t->n_best < BATCH) {
            t->best[t->n_best++] = pair;
            for (int64_t i = t->n_best / 2; t->n_best == BATCH && i--;)
                settle(t, i, t->best[i]);
        } else if (precedes(pair, t->best[0])) {
            settle(t, 0, pair);
        }
    }
    qsort(t->best, t->n_best, sizeof *t->best, by_precedence);
}

static batch_slot *find_merge(tape *t, uint64_t key)
{
    int64_t s = hash_int(key) & (BATCH_SLOTS - 1);
    while (t->batch[s].key != key && t->batch[s].key != NO_PAIR)
        s = (s + 1) & (BATCH_SLOTS - 1);
    return &t->batch[s];
}

/* Fill the batch with as many of the best pairs as are certain; returns how many. */
static int64_t choose_batch(tape *t, int64_t max_merges, int64_t min_count, int32_t *merges)
{
    int64_t made = 0;
    find_best(t, min_count);
    memset(t->batch, 0xFF, sizeof t->batch);
    memset(t->is_left, 0, t->flag_room);
    memset(t->is_right, 0, t->flag_room);
    for (; made < t->n_best && made < max_merges; made++) {
        uint64_t key = t->best[made].key;
        uint32_t left = key >> 32, right = (uint32_t)key;
        if (t->is_left[right] || t->is_right[left])
            break;
        t->is_left[left] = t->is_right[right] = 1;
        *find_merge(t, key) = (batch_slot){key, 256 + t->n_merges++};
        merges[2 * made] = (int32_t)left;
        merges[2 * made + 1] = (int32_t)right;
        if (left == right) {
            made++;
            break;
        }
    }
    return made;
}

/* ---- passes over the tape ---- */

/* Apply the batch to a word in place; returns its new length. */
static uint32_t merge_batch(tape *t, uint32_t *word, uint32_t n)
{
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++) {
        word[out] = word[i];
        if (i + 1 < n && t->is_left[word[i]] && t->is_right[word[i + 1]]) {
            batch_slot *merge = find_merge(t, (uint64_t)word[i] << 32 | word[i + 1]);
            if (merge->key != NO_PAIR) {
                word[out] = merge->new;
                i++;
            }
        }
        out++;
    }
    return out;
}

static int has_merge(tape *t, const uint32_t *word, uint32_t n)
{
    for (uint32_t i = 0; i + 1 < n; i++)
        if (t->is_left[word[i]] && t->is_right[word[i + 1]]
            && find_merge(t, (uint64_t)word[i] << 32 | word[i + 1])->key != NO_PAIR)
            return 1;
    return 0;
}

/* Read a record into t->word. Returns 1, 0 at the end, -1 without memory, -2 for a damaged tape. */
static int read_word(tape *t, FILE *in, tape_record *head)
{
    if (fread(&head->count, sizeof head->count, 1, in) != 1)
        return ferror(in) ? -2 : 0;
    if (fread(&head->n, sizeof head->n, 1, in) != 1)
        return -2;
    if (head->n > t->word_room) {
        uint32_t *grown = realloc(t->word, head->n * sizeof *grown);
        if (!grown)
            return -1;
        t->word = grown;
        t->word_room = head->n;
    }
    return fread(t->word, sizeof *t->word, head->n, in) == head->n ? 1 : -2;
}

/* Copy the tape to the scratch file with the batch applied, and swap the two. */
static int pass(tape *t)
{
    FILE *in = fopen(t->path, "rb"), *out = fopen(t->scratch, "wb");
    int state = in && out ? 1 : -2;
    tape_record head;
    while (state > 0 && (state = read_word(t, in, &head)) > 0) {
        if (has_merge(t, t->word, head.n)) {
            if (count_word(t, t->word, head.n, -head.count))
                state = -1;
            head.n = merge_batch(t, t->word, head.n);
            if (count_word(t, t->word, head.n, head.count))
                state = -1;
        }
        if (head.n < 2)
            continue;
        fwrite(&head.count, sizeof head.count, 1, out);
        fwrite(&head.n, sizeof head.n, 1, out);
        fwrite(t->word, sizeof *t->word, head.n, out);
    }
    if (in)
        fclose(in);
    if (out && (ferror(out) | fclose(out)) && state >= 0)
        state = -2;
    char *path = t->path;
    t->path = t->scratch;
    t->scratch = path;
    return state;
}

/* ---- the object ---- */

void tape_free(tape *t)
{
    if (!t)
        return;
    free(t->path);
    free(t->scratch);
    free(t->pairs);
    free(t->is_left);
    free(t->is_right);
    free(t->word);
    free(t);
}

static char *copy_text(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

/* path: the tape; scratch: a file that passes may write. Both stay the caller's to delete.
 * max_bytes: limit for the counts of pairs. */
tape *tape_new(const char *path, const char *scratch, int64_t max_bytes)
{
    tape *t = calloc(1, sizeof *t);
    tape_record head;
    if (!t)
        return NULL;
    t->max_bytes = max_bytes;
    t->path = copy_text(path);
    t->scratch = copy_text(scratch);
    FILE *in = fopen(path, "rb");
    int state = in && t->path && t->scratch && !rebuild_counts(t) ? 1 : -1;
    while (state > 0 && (state = read_word(t, in, &head)) > 0)
        if (count_word(t, t->word, head.n, head.count))
            state = -1;
    if (in)
        fclose(in);
    if (state == 0)
        return t;
    tape_free(t);
    return NULL;
}

/* Make one batch of at most max_merges merges. Writes (left, right) for each; returns how many,
 * 0 when no pair occurs min_count >= 1 times, -1 without memory, -2 for a file. */
int64_t tape_run(tape *t, int64_t max_merges, int64_t min_count, int32_t *merges)
{
    int64_t wanted = 256 + t->n_merges + BATCH;
    if (wanted > t->flag_room) {
        free(t->is_left);
        free(t->is_right);
        t->flag_room = 2 * wanted;
        t->is_left = malloc(t->flag_room);
        t->is_right = malloc(t->flag_room);
        if (!t->is_left || !t->is_right)
            return -1;
    }
    int64_t made = choose_batch(t, max_merges, min_count, merges);
    int failed = made ? pass(t) : 0;
    return failed < 0 ? failed : made;
}
