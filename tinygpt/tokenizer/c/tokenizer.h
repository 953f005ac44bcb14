/* Every function that Python calls; build.py hands the part below the line to cffi as it stands.
 *
 * Text is UTF-8 in `text[0..n)`, any bytes allowed. Nothing here prints, and nothing is global:
 * each object belongs to who made it, and two threads may use two objects at once.  NULL or -1
 * means out of memory, -2 that a file could not be written or read, -3 that a pattern reads far too
 * much in vain.
 */
#ifndef TOKENIZER_H
#define TOKENIZER_H
#include <stdint.h>
/* ---- cffi reads from here ---- */

/* scan.c: a pattern's table, made by automaton.py; states are offsets of rows in it */
typedef struct {
    const uint8_t *classes;  /* one byte for each code point */
    const uint16_t *table;   /* rows of `width`: columns of ASCII, of each class, of the end */
    uint32_t width, start, back, accepting;
} scanner;
int64_t scan_all(const scanner *s, const uint8_t *text, int64_t n, int64_t *ends);

/* words.c: how often each distinct pre-token occurs */
typedef struct words words;
words *words_new(void);
void words_free(words *w);
int words_add(words *w, const uint8_t *word, int64_t n, int64_t count);
int64_t words_add_text(words *w, const scanner *s, const uint8_t *text, int64_t n, int is_last,
                       int64_t max_bytes, int *full);
int64_t words_size(const words *w);
int64_t words_memory(const words *w);
int64_t words_text_size(const words *w);
void words_export(const words *w, uint8_t *text, int64_t *ends, int64_t *counts);
int words_spill(words *w, const char *path);

/* train.c: learning merges with an index of pairs in memory */
typedef struct trainer trainer;
trainer *trainer_new(const words *w, const uint8_t *byte_ids);
void trainer_free(trainer *t);
int64_t trainer_run(trainer *t, int64_t max_merges, int64_t min_count, int32_t *merges);

/* tape.c: the same merges with the words on disk */
typedef struct tape tape;
int64_t runs_to_tape(int64_t n_runs, const char **runs, const char *path,
                     const uint8_t *byte_ids);
tape *tape_new(const char *path, const char *scratch, int64_t max_bytes);
void tape_free(tape *t);
int64_t tape_run(tape *t, int64_t max_merges, int64_t min_count, int32_t *merges);

/* encode.c: merging pre-tokens, with a cache of those seen */
typedef struct encoder encoder;
typedef struct cache cache;
encoder *encoder_new(const int32_t *byte_ids, int64_t n_merges, const int32_t *merges,
                     const int32_t *merged_ids);
int encoder_add_whole_words(encoder *e, int64_t n, const uint8_t *bytes, const int64_t *ends,
                            const int32_t *ids);
void encoder_free(encoder *e);
int64_t recover_pairs(int64_t n, const uint8_t *bytes, const int64_t *ends, const int32_t *ids,
                      int32_t *pairs);
cache *cache_new(void);
void cache_free(cache *c);
int64_t encode_text(const encoder *e, cache *c, const scanner *s, const uint8_t *text, int64_t n,
                    int bytes_per_id, void *out, int64_t room, int64_t *written);
int64_t encode_pieces(const encoder *e, cache *c, const uint8_t *text, const int64_t *ends,
                      int64_t n_pieces, int bytes_per_id, void *out);

/* unigram.c: a lattice of pieces with scores */
typedef struct lattice lattice;
lattice *lattice_new(int64_t n, const uint8_t *bytes, const int64_t *ends, const int32_t *ids,
                     const float *scores);
void lattice_free(lattice *l);
int64_t lattice_best(const lattice *l, int64_t n_words, const uint8_t *text, const int64_t *ends,
                     float unknown, const int32_t *excluded, int32_t *ids, int64_t *id_ends,
                     float *scores);
double lattice_expect(const lattice *l, int64_t n_words, const uint8_t *text, const int64_t *ends,
                      const int64_t *counts, double *expected);
/* ---- to here ---- */
#endif
