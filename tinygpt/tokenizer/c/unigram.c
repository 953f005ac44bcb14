/* Pieces with scores: the best way to write a text with them, and how often each is expected.
 *
 * PythonLattice of lattice.py in C. A trie holds the pieces; from each position of a text that
 * can be reached it is walked as far as the text goes, and every piece met is an arc of the lattice
 *
 *     best      max over arcs, sums rounded to float32 at each step
 *     expect    log-sum over arcs, forwards and backwards, in float64
 *
 * One pass over the text for the first, three for the second; memory of a few numbers a byte.
 */
#include <math.h>
#include <stdlib.h>

#include "table.h"
#include "tokenizer.h"

typedef struct { uint64_t key; int32_t node; } child_slot;  /* key = (node + 1) << 8 | byte */
typedef struct { int32_t id; float score; } trie_node;      /* id -1: no piece ends here */

struct lattice {
    trie_node *nodes;
    child_slot *children;
    int64_t slots;
    int32_t roots[256];  /* children of the root, -1 without: most walks end there */
};

static const int32_t *child(const lattice *l, int32_t node, uint8_t byte)
{
    uint64_t key = (uint64_t)(node + 1) << 8 | byte;
    int64_t s = hash_int(key) & (l->slots - 1);
    while (l->children[s].key && l->children[s].key != key)
        s = (s + 1) & (l->slots - 1);
    return l->children[s].key ? &l->children[s].node : NULL;
}

static int32_t add_child(lattice *l, int32_t node, uint8_t byte, int32_t *n_nodes)
{
    uint64_t key = (uint64_t)(node + 1) << 8 | byte;
    int64_t s = hash_int(key) & (l->slots - 1);
    while (l->children[s].key && l->children[s].key != key)
        s = (s + 1) & (l->slots - 1);
    if (!l->children[s].key) {
        l->children[s] = (child_slot){key, *n_nodes};
        l->nodes[(*n_nodes)++] = (trie_node){-1, 0};
    }
    return l->children[s].node;
}

/* n pieces, all different, none empty: piece k ends at ends[k] of bytes.  NULL without memory. */
lattice *lattice_new(int64_t n, const uint8_t *bytes, const int64_t *ends, const int32_t *ids,
                     const float *scores)
{
    int64_t size = n ? ends[n - 1] : 0;
    lattice *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    for (l->slots = 16; l->slots < 2 * size;)
        l->slots *= 2;
    l->nodes = malloc((size + 1) * sizeof *l->nodes);
    l->children = calloc(l->slots, sizeof *l->children);
    if (!l->nodes || !l->children) {
        lattice_free(l);
        return NULL;
    }
    int32_t n_nodes = 1;
    l->nodes[0] = (trie_node){-1, 0};
    for (int64_t k = 0, at = 0; k < n; k++) {
        int32_t node = 0;
        for (; at < ends[k]; at++)
            node = add_child(l, node, bytes[at], &n_nodes);
        l->nodes[node] = (trie_node){ids[k], scores[k]};
    }
    for (int byte = 0; byte < 256; byte++) {
        const int32_t *found = child(l, 0, (uint8_t)byte);
        l->roots[byte] = found ? *found : -1;
    }
    return l;
}

void lattice_free(lattice *l)
{
    if (!l)
        return;
    free(l->nodes);
    free(l->children);
    free(l);
}

/* The node after one more byte, -1 for none. */
static inline int32_t walk(const lattice *l, int32_t node, uint8_t byte)
{
    if (!node)
        return l->roots[byte];
    const int32_t *found = child(l, node, byte);
    return found ? *found : -1;
}

static int64_t character_length(const uint8_t *text, int64_t n)
{
    int64_t length = text[0] < 0xC0 ? 1 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4;
    return length < n ? length : n;
}

/* Scratch of a Viterbi pass over up to n bytes. */
typedef struct { float best; int32_t id; int64_t start; } cell;

/* The best path over text[0..n) in cells[0..n], each of which names its last piece and where that
 * starts. A character that is no piece is one of id -1, of the score `unknown` unless that is NaN.
 * excluded: the id of a piece that may not be used, -1 for none. */
static void best_path(const lattice *l, const uint8_t *text, int64_t n, float unknown,
                      int32_t excluded, cell *cells)
{
    for (int64_t k = 0; k <= n; k++)
        cells[k] = (cell){0, -1, -1};
    for (int64_t here = 0; here < n; here++) {
        if (here && cells[here].start < 0)
            continue;
        int64_t one = isnan(unknown) ? 0 : character_length(text + here, n - here);
        int known = 0;
        for (int64_t end = here, node = 0; end < n;) {
            node = walk(l, (int32_t)node, text[end++]);
            if (node < 0)
                break;
            trie_node piece = l->nodes[node];
            if (piece.id < 0 || piece.id == excluded)
                continue;
            known |= end - here == one;
            float sum = cells[here].best + piece.score;
            if (cells[end].start < 0 || sum > cells[end].best)
                cells[end] = (cell){sum, piece.id, here};
        }
        if (one && !known) {
            float sum = cells[here].best + unknown;
            cell *end = &cells[here + one];
            if (end->start < 0 || sum > end->best)
                *end = (cell){sum, -1, here};
        }
    }
}

/* Of each word, ends[k] being where it ends in text: its best pieces, one after the other, into ids
 * (room for one a byte) and where each ends into id_ends (unless NULL). excluded: of each word the
 * piece not to be used, or NULL. scores: of each word, or NULL. Returns how many ids, or -1 without
 * memory. */
int64_t lattice_best(const lattice *l, int64_t n_words, const uint8_t *text, const int64_t *ends,
                     float unknown, const int32_t *excluded, int32_t *ids, int64_t *id_ends,
                     float *scores)
{
    int64_t longest = 0, written = 0;
    for (int64_t k = 0, start = 0; k < n_words; start = ends[k++])
        longest = ends[k] - start > longest ? ends[k] - start : longest;
    cell *cells = malloc((longest + 1) * sizeof *cells);
    if (!cells)
        return -1;
    for (int64_t k = 0, start = 0; k < n_words; start = ends[k++]) {
        int64_t n = ends[k] - start, count = 0;
        best_path(l, text + start, n, unknown, excluded ? excluded[k] : -1, cells);
        if (scores)
            scores[k] = n && cells[n].start < 0 ? -INFINITY : cells[n].best;
        for (int64_t at = n; at > 0 && cells[at].start >= 0; at = cells[at].start)
            count++;
        int64_t place = written += count;
        for (int64_t at = n; at > 0 && cells[at].start >= 0; at = cells[at].start) {
            ids[--place] = cells[at].id;
            if (id_ends)
                id_ends[place] = start + at;
        }
    }
    free(cells);
    return written;
}

/* log(exp(*sum) + exp(x)), the sum kept as a maximum and what it is multiplied by. */
typedef struct { double most, times; } log_sum;

static inline void add_log(log_sum *sum, double x)
{
    if (x <= sum->most) {
        sum->times += exp(x - sum->most);
    } else {
        sum->times = sum->times * exp(sum->most - x) + 1;
        sum->most = x;
    }
}

static inline double value(const log_sum *sum)
{
    return sum->times > 0 ? sum->most + log(sum->times) : -INFINITY;
}

/* Adds to expected[id] how often each piece is expected in n_words words that occur counts[k] times
 * each, over all ways to write them; returns the sum of counts[k] * log(probability of word k), NaN
 * without memory. A word that cannot be written adds nothing. Source: Kudo 2018, 3.2. */
double lattice_expect(const lattice *l, int64_t n_words, const uint8_t *text, const int64_t *ends,
                      const int64_t *counts, double *expected)
{
    int64_t longest = 0;
    for (int64_t k = 0, start = 0; k < n_words; start = ends[k++])
        longest = ends[k] - start > longest ? ends[k] - start : longest;
    log_sum *sums = malloc((longest + 1) * sizeof *sums);
    double *before = malloc(2 * (longest + 1) * sizeof *before), *behind = before + longest + 1;
    double likelihood = sums && before ? 0 : NAN;
    for (int64_t k = 0, start = 0; k < n_words && sums && before; start = ends[k++]) {
        const uint8_t *word = text + start;
        int64_t n = ends[k] - start;
        for (int64_t at = 0; at <= n; at++)
            sums[at] = (log_sum){-INFINITY, 0};
        sums[0] = (log_sum){0, 1};
        for (int64_t here = 0; here <= n; here++) {
            before[here] = value(&sums[here]);
            if (before[here] == -INFINITY)
                continue;
            for (int64_t end = here, node = 0; end < n;) {
                node = walk(l, (int32_t)node, word[end++]);
                if (node < 0)
                    break;
                if (l->nodes[node].id >= 0)
                    add_log(&sums[end], before[here] + l->nodes[node].score);
            }
        }
        double all = before[n];
        if (all == -INFINITY)
            continue;
        likelihood += (double)counts[k] * all;
        behind[n] = 0;
        for (int64_t here = n - 1; here >= 0; here--) {
            behind[here] = -INFINITY;
            if (before[here] == -INFINITY)
                continue;
            log_sum sum = {-INFINITY, 0};
            for (int64_t end = here, node = 0; end < n;) {
                node = walk(l, (int32_t)node, word[end++]);
                if (node < 0)
                    break;
                trie_node piece = l->nodes[node];
                if (piece.id < 0 || behind[end] == -INFINITY)
                    continue;
                double rest = piece.score + behind[end];
                add_log(&sum, rest);
                expected[piece.id] += (double)counts[k] * exp(before[here] + rest - all);
            }
            behind[here] = value(&sum);
        }
    }
    free(sums);
    free(before);
    return likelihood;
}
