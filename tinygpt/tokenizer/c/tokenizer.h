/* Every function that Python calls; build.py hands the part below the line to cffi as it stands.
 *
 * Text is UTF-8 in `text[0..n)`, any bytes allowed. `classes` is one byte per code point, made by
 * pretokenize.character_classes(). Nothing here prints, and nothing is global: each object belongs
 * to who made it, and two threads may use two objects at once.  NULL or -1 means out of memory.
 */
#ifndef TOKENIZER_H
#define TOKENIZER_H
#include <stdint.h>
/* ---- cffi reads from here ---- */

/* scan.c: the known patterns without a regular expression engine */
int64_t scan_all(int pattern, const uint8_t *classes, const uint8_t *text, int64_t n,
                 int64_t *ends);

/* words.c: how often each distinct pre-token occurs */
typedef struct words words;
words *words_new(void);
void words_free(words *w);
int words_add(words *w, const uint8_t *word, int64_t n, int64_t count);
int64_t words_add_text(words *w, int pattern, const uint8_t *classes, const uint8_t *text,
                       int64_t n, int is_last, int64_t max_bytes, int *full);
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

/* tape.c: the same merges with the words on disk; -2 means that a file could not be written */
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
int encoder_add_whole_word(encoder *e, const uint8_t *word, int64_t n, int32_t id);
void encoder_free(encoder *e);
cache *cache_new(void);
void cache_free(cache *c);
int64_t encode_text(const encoder *e, cache *c, int pattern, const uint8_t *classes,
                    const uint8_t *text, int64_t n, int is_last, int bytes_per_id, void *out,
                    int64_t room, int64_t *written);
int64_t encode_pieces(const encoder *e, cache *c, const uint8_t *text, const int64_t *ends,
                      int64_t n_pieces, int bytes_per_id, void *out);
/* ---- to here ---- */
#endif
