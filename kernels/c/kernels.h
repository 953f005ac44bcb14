/* Every C kernel's signature, once: the compiler and cffi (build.py) both read this file.
 *
 * Conventions. Arrays are float32 and C-contiguous unless strides are passed; sizes and strides are
 * int64_t and strides count elements, not bytes. Inputs are const, come first, and never overlap
 * the outputs unless a comment says so; Python has checked every shape. `scratch` is memory that
 * the caller lends for the length of the call (kernels.memory.scratch).
 */
#pragma once
#include <stdint.h>

/* cpu.c */
const char *cpu_isas(void); /* of this family of CPUs, from the slowest to the fastest */
int cpu_can_run(const char *isa); /* by this CPU and this OS? */
int has_openmp(void);

/* parallel.h */
void set_threads(int threads);
int get_threads(void);

/* elementary.c */
void exp_array(const float *x, float *y, int64_t n);
void tanh_array(const float *x, float *y, int64_t n);

/* adamw.c */
typedef struct {
    float grad_scale, toward1, toward2, decay, rate, root_correction, eps;
} adamw_factors; /* numpy_ref/adamw.py: factors */
typedef struct {
    float *param;
    const float *grad;
    float *m, *v;
    int64_t n;
} adamw_array;
int adamw_overlap(const adamw_array *arrays, int64_t count); /* two of them, one written? */
void adamw_update(const adamw_array *arrays, int64_t count, const adamw_factors *factors);
typedef struct {
    const float *x;
    int64_t n;
} float_array;
double sum_of_squares(const float_array *arrays, int64_t count);

/* adamw8bit.c */
void adamw8bit_update(
    float *param, const float *grad, int8_t *m, float *m_scale, uint8_t *v, float *v_scale,
    int64_t n, uint32_t dither, const adamw_factors *factors
);

/* attention.c */
typedef struct {
    int64_t B, Tq, Tk, H, Hkv, D;
    int64_t q[3], k[3], v[3], dq[3], dk[3], dv[3]; /* strides of batch, time and head */
    int causal;
    float scale;
} attention_shape;
typedef struct {
    const int64_t *first, *last; /* (B, Tq): keys first <= j < last are seen; NULL: from 0, to Tk */
    const float *bias;           /* (H, bias_step) by distance, rows ending in BIAS_PADDING zeros */
    const float *cos, *sin;      /* (Tk, turned), NULL: no rotation */
    int64_t bias_step, turned;
} attention_sight; /* what else decides a score; NULL where it does not */
int64_t attention_scratch(const attention_shape *s, const attention_sight *sight, int backward);
void attention_forward(const attention_shape *s, const attention_sight *sight, const float *q,
                       const float *k, const float *v, float *y, float *lse, float *scratch);
void attention_backward(const attention_shape *s, const attention_sight *sight, const float *dy,
                        const float *q, const float *k, const float *v, const float *y,
                        const float *lse, float *dq, float *dk, float *dv, float *dbias,
                        float *scratch);

/* byte_ngrams.c */
void byte_ngrams(const uint8_t *text, int64_t size, int64_t n, uint32_t *hashes);
int64_t byte_ngram_counts(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                          int32_t *table, uint32_t *ids, int32_t *counts);
void byte_ngram_logits(const uint8_t *text, int64_t size, int64_t most, int64_t buckets,
                       const float *weight, int64_t classes, int32_t *table, uint32_t *ids,
                       float *logits);
int64_t byte_ngrams_known(const uint8_t *text, int64_t size, int64_t n, const uint8_t *known,
                          int64_t buckets);

/* cross_entropy.c */
void cross_entropy_forward(
    const float *logits, const int64_t *targets, float smoothing, float *losses, float *lse,
    int64_t rows, int64_t n
);
void cross_entropy_backward(
    const float *logits, const int64_t *targets, const float *lse, float smoothing, float scale,
    float *dlogits, int64_t rows, int64_t n
);

/* decode.c; parts that a network lacks are NULL, a matrix's codes too */
typedef struct {
    int64_t scheme, n, k; /* 0 float32, then as kernels/packing.py numbers them; (n, k) */
    const void *codes;    /* the floats themselves, or as in kernels/packing.py */
    const void *scale;
    const int32_t *offset;
    const float *bias;
} decode_matrix;
typedef struct {
    const float *weight, *bias;
} decode_norm;
typedef struct {
    decode_norm norm1, norm2;
    decode_matrix qkv, proj, up, down;
    decode_matrix qkv_thin, qkv_wide, proj_thin, proj_wide, up_thin, up_wide, down_thin, down_wide;
    const float *q_norm, *k_norm;
    char *keys, *values; /* floats, or `rounded` to bytes */
} decode_layer;
typedef struct {
    decode_matrix token, head; /* head: token once more if they are tied */
    decode_matrix bigrams;     /* of a token and the one before it */
    decode_norm norm;
    const float *position, *bias, *levels, *smear;
    const double *rates; /* of rotary pairs, radians a position */
    const decode_layer *layer;
    int64_t layers, heads, kv_heads, head_dim, width, hidden, places, sight, pairs, distances;
    int64_t activation, gated, rms, post, rounded;
    int64_t thin, wide; /* the most rows of a layer's ..._thin, ..._wide; 0: no layer has any */
    float eps, softcap; /* softcap 0: none */
} decode_network;
/* network: a decode_network; void, because cffi holds each module's structs for other types. */
int64_t decode_scratch(const void *network, int64_t batch, int64_t threads);
void decode_step(const void *network, const int64_t *ids, const int64_t *positions,
                 const int64_t *slots, const int64_t *before, int64_t batch, int64_t scored, int64_t pieces,
                 float *logits, float *scratch);

/* dropout.c */
void dropout_forward(
    const float *x, float *y, int64_t n, uint32_t key_low, uint32_t key_high, uint32_t threshold,
    float scale
);

/* embedding.c */
int64_t find_bad_id(const int64_t *ids, int64_t rows, int64_t size);
void embedding_forward(
    const float *weight, const int64_t *ids, float *y, int64_t rows, int64_t n
);
void embedding_backward(
    const float *dy, const int64_t *ids, float *dweight, int64_t *scratch, int64_t rows,
    int64_t size, int64_t n
);

/* gelu.c */
void gelu_forward(const float *x, float *y, int64_t n);
void gelu_backward(const float *dy, const float *x, float *dx, int64_t n);

/* layernorm.c */
void layernorm_forward(
    const float *x, const float *residual, const float *weight, const float *bias, float eps,
    float *s, float *y, float *mean, float *rstd, int64_t rows, int64_t n
);
void layernorm_backward(
    const float *dy, const float *s, const float *weight, const float *mean, const float *rstd,
    const float *ds, float *dx, float *dweight, float *dbias, float *scratch, int64_t blocks,
    int64_t rows, int64_t n
);

/* linear.c */
void linear_forward(
    const float *x, const float *weight, const float *bias, const float *residual,
    int64_t activation, int64_t gated, float *y, int64_t rows, int64_t inside, int64_t outside,
    float *scratch
);
void linear_backward(
    const float *dy, const float *x, const float *weight, int64_t activation, int64_t gated, float *dx,
    float *dweight, float *dbias, int64_t rows, int64_t inside, int64_t outside, float *scratch
);

void activate_forward(const float *x, int64_t activation, int64_t gated, float *y, int64_t rows,
                      int64_t n);
void activate_backward(const float *da, const float *x, int64_t activation, int64_t gated, float *dx,
                       int64_t rows, int64_t n);

/* linear_cross_entropy.c */
void linear_cross_entropy(
    const float *x, const float *weight, const int64_t *targets, const float *weights,
    float smoothing, float scale, float cap, float *losses, float *dx, float *dweight,
    float *logits, float *scratch, int64_t rows, int64_t width, int64_t size, int64_t chunk
);

/* linear_packed.c */
void linear_packed_backward(const float *dy, int64_t scheme, const void *codes, const void *scale,
                            const float *levels, float *dx, int64_t rows, int64_t n, int64_t k,
                            int64_t chunk, float *w, float *scratch);

/* matmul.c */
int64_t gemm_scratch(int64_t threads);   /* floats, for one product */
int64_t matmul_scratch(int64_t batch);   /* floats, for matmul */
void matmul(
    const float *a, const int64_t *a_at, int64_t a_row, int64_t a_inner, const float *b,
    const int64_t *b_at, int64_t b_inner, int64_t b_column, float *c, int64_t batch, int64_t rows,
    int64_t columns, int64_t inner, float *scratch
);

/* matmul_int4.c */
void linear_int4_forward(const float *x, const uint8_t *codes, const float *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch);

/* matmul_int8.c */
void quantize_rows(const float *x, int8_t *q, float *scale, int64_t rows, int64_t k);
void matmul_int8(const int8_t *x, const int8_t *codes, const int32_t *offset, int32_t *y,
                 int64_t rows, int64_t n, int64_t k, int8_t *scratch);
void linear_int8_forward(const float *x, const int8_t *codes, const float *scale,
                         const int32_t *offset, const float *bias, const float *residual, float *y,
                         int64_t rows, int64_t n, int64_t k, void *scratch);

/* matmul_nf4.c */
void linear_nf4_forward(const float *x, const uint8_t *codes, const float *scale,
                        const float *levels, const float *bias, const float *residual, float *y,
                        int64_t rows, int64_t n, int64_t padded);

/* matmul_q4_1.c; scratch: 72 bytes for each block of 32 of x */
void linear_q4_1_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch);

/* matmul_q8_0.c; likewise */
void linear_q8_0_forward(const float *x, const uint8_t *codes, const uint16_t *scale,
                         const float *bias, const float *residual, float *y, int64_t rows,
                         int64_t n, int64_t k, void *scratch);

/* minhash.c */
int64_t shingle_hashes(const uint8_t *text, int64_t size, int64_t n, uint64_t *hashes,
                       uint64_t *words);
void minhash_signature(const uint64_t *hashes, int64_t count, const uint64_t *factors,
                       const uint64_t *offsets, uint32_t *signature, int64_t size);

/* muon.c */
typedef struct {
    float *param;
    const float *grad;
    float *momentum;
    int64_t rows, columns;
    float rate; /* of this shape */
} muon_matrix;
typedef struct {
    float grad_scale, momentum, decay, tiny;
    const float *rounds; /* (count, 3): a, b, c of each */
    int64_t count;
} muon_factors;
int muon_overlap(const muon_matrix *matrices, int64_t count); /* two of them, one written? */
int64_t muon_scratch(const muon_matrix *matrices, int64_t count);
void muon_update(const muon_matrix *matrices, int64_t count, const muon_factors *factors,
                 float *scratch);

/* rmsnorm.c */
void rmsnorm_forward(
    const float *x, const float *residual, const float *weight, float eps, float *s, float *y,
    float *rstd, int64_t rows, int64_t n
);
void rmsnorm_backward(
    const float *dy, const float *s, const float *weight, const float *rstd, const float *ds,
    float *dx, float *dweight, float *scratch, int64_t blocks, int64_t rows, int64_t n
);

/* softmax.c */
void softmax_forward(const float *x, float *y, int64_t rows, int64_t columns);
void softmax_backward(const float *dy, const float *y, float *dx, int64_t rows, int64_t columns);

/* softmax_summary.c */
void softmax_summary(const float *logits, const int64_t *ids, int64_t *top, double *lse,
                     double *entropy, int64_t *before, int64_t rows, int64_t n, int64_t k);

/* word_ngrams.c */
int64_t split_words(const uint32_t *text, int64_t size, const uint8_t *kinds, int64_t known,
                    int64_t every, uint64_t *hashes, int64_t *lengths, int64_t *counts);
void repeated_ngrams(const uint64_t *words, const int64_t *lengths, int64_t count, int64_t most,
                     int64_t *found, int32_t *numbers, int32_t *slots, uint64_t *keys);
