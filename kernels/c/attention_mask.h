/* Which keys a query of attention.c sees: from first[i] on (NULL: from key 0), and if causal up to
 * i + Tk - Tq. There is no (Tq, Tk) mask: a block of keys that no query of a panel sees is passed
 * over, and one on an edge is masked key by key, all queries of the panel at once. */
#pragma once
#include "attention_tile.h"
#include "kernels.h"

/* Query i sees no key from here on. */
static inline int64_t attention_end(const attention_shape *s, int64_t i) {
    return s->causal ? clamp(i + 1 + s->Tk - s->Tq, 0, s->Tk) : s->Tk;
}

/* Does key j come after some query of the panel at i? */
static inline int attention_masked(const attention_shape *s, int64_t i, int64_t j) {
    return s->causal && j > i + s->Tk - s->Tq;
}

/* The first panel with a query that does not come before key j. */
static inline int64_t attention_first_panel(const attention_shape *s, int64_t j) {
    if (!s->causal) return 0;
    return clamp(j - (s->Tk - s->Tq), 0, s->Tq) / QUERIES * QUERIES;
}

/* The first keys of a panel's queries, each in its lane; the least and the largest of them. */
typedef struct {
    vi key[VECTORS];
    int64_t least, most;
} attention_starts;

/* Of the panel at i. Lanes past the last query repeat it, so that they decide nothing. */
static inline attention_starts attention_panel_starts(const attention_shape *s,
                                                      const int64_t *first, int64_t i) {
    attention_starts starts = {.least = first ? s->Tk : 0};
    int32_t keys[QUERIES] = {0};
    for (int64_t n = 0; first && n < QUERIES; n++) {
        int64_t key = first[clamp(i + n, 0, s->Tq - 1)];
        keys[n] = (int32_t)key;
        if (key < starts.least) starts.least = key;
        if (key > starts.most) starts.most = key;
    }
    for (int c = 0; c < VECTORS; c++) starts.key[c] = vi_load(keys + c * LANES);
    return starts;
}

/* x, the panel at i's numbers for key j, becomes `hidden` for the queries that do not see it. */
INLINE void attention_hide(const attention_shape *s, const attention_starts *starts, int64_t i,
                           int64_t j, vf hidden, vf *x) {
    if (attention_masked(s, i, j))
        UNROLL for (int c = 0; c < VECTORS; c++) {
            vm before = v_first(clamp(j - (s->Tk - s->Tq) - i - c * LANES, 0, LANES));
            x[c] = v_select(before, hidden, x[c]);
        }
    if (j < starts->most)
        UNROLL for (int c = 0; c < VECTORS; c++) {
            vm later = vi_less_unsigned(vi_set1((int32_t)j), starts->key[c]);
            x[c] = v_select(later, hidden, x[c]);
        }
}
