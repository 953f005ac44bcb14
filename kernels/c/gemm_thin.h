/* Products with few rows (one token at a time): gemm_thin.
 *
 * Packing b costs as much as reading it, so for a few rows of c it would double the time. Two ways
 * to read b where it lies, once, in the order of memory:
 */
#pragma once
#include "gemm_tile.h"

/* b's columns lie along k (a weight (out, in) as b = W^T): each element of c is a dot product. `rows`
 * x `columns` of them run together, sharing the vectors of a and b; 8 or more hide the latency of
 * the multiply-add. */
INLINE void gemm_dots(const int rows, const int columns, const gemm_problem *p, int64_t row,
                      int64_t column) {
    const float *a = p->a + row * p->a_row, *b = p->b + column * p->b_column;
    vf sum[4][8];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < columns; j++)
        sum[i][j] = v_zero();
    int64_t k = 0;
    for (; k + LANES <= p->inner; k += LANES) {
        vf part[4];
        UNROLL for (int i = 0; i < rows; i++) part[i] = v_load(a + i * p->a_row + k);
        UNROLL for (int j = 0; j < columns; j++) {
            vf other = v_load(b + j * p->b_column + k);
            UNROLL for (int i = 0; i < rows; i++) sum[i][j] = v_fma(part[i], other, sum[i][j]);
        }
    }
    const int64_t rest = p->inner - k;
    UNROLL for (int i = 0; i < rows; i++) {
        float *c = p->c + (row + i) * p->c_row + column;
        int64_t step;
        const float *start = gemm_start(p, 0, (row + i) * p->c_row + column, column, &step);
        UNROLL for (int j = 0; j < columns; j++) {
            if (rest)
                sum[i][j] = v_fma(v_load_part(a + i * p->a_row + k, rest),
                                  v_load_part(b + j * p->b_column + k, rest), sum[i][j]);
            c[j] = v_reduce_add(sum[i][j]) + (start ? start[j] : 0);
        }
    }
}

/* b's rows lie along the columns: c is a sum of rows of b. A strip of `vectors` vectors of c stays in
 * registers while k runs; the last vector may be a part. */
INLINE void gemm_strip(const int vectors, const gemm_problem *p, int64_t row, int64_t column,
                       int64_t tail) {
    const float *a = p->a + row * p->a_row, *b = p->b + column;
    const int last = vectors - 1;
    int64_t step;
    const float *start = gemm_start(p, 0, row * p->c_row + column, column, &step);
    vf sum[8];
    UNROLL for (int j = 0; j < vectors; j++)
        sum[j] = start ? v_load_part(start + j * LANES, j == last ? tail : LANES) : v_zero();
    for (int64_t k = 0; k < p->inner; k++, b += p->b_inner) {
        vf element = v_set1(a[k * p->a_inner]);
        UNROLL for (int j = 0; j < last; j++)
            sum[j] = v_fma(element, v_load(b + j * LANES), sum[j]);
        vf end = tail == LANES ? v_load(b + last * LANES) : v_load_part(b + last * LANES, tail);
        sum[last] = v_fma(element, end, sum[last]);
    }
    UNROLL for (int j = 0; j < vectors; j++)
        v_store_part(p->c + row * p->c_row + column + j * LANES, sum[j],
                     j == last ? tail : LANES);
}

static int gemm_is_thin(const gemm_problem *p) {
    if (p->b_activation || p->rows > THIN || p->inner == 0) return 0;
    if (p->a_activation && p->rows * p->inner > CHUNK) return 0; /* the room of gemm_thin_ready */
    return (p->b_inner == 1 && p->a_inner == 1) || (p->b_column == 1 && p->rows <= 2);
}

/* With an activation: act(a), in `room`, stands in for a. */
static void gemm_thin_ready(gemm_problem *p, float *room) {
    if (!p->a_activation) return;
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t k = 0; k < p->inner; k += LANES) {
            int64_t n = gemm_least(p->inner - k, LANES);
            const float *from = p->a + row * p->a_row + k;
            vf a = v_activate_at(p->a_activation, p->a_gate, from, n);
            v_store_part(room + row * p->inner + k, a, n);
        }
    p->a = room, p->a_row = p->inner;
}

/* Columns [first, last) of a thin product. */
static void gemm_thin(const gemm_problem *p, int64_t first, int64_t last) {
    int64_t column = first, row;
    if (p->b_inner == 1 && p->a_inner == 1) {
        for (; column + 8 <= last; column += 8) {
            for (row = 0; row + 2 <= p->rows; row += 2) gemm_dots(2, 8, p, row, column);
            if (row < p->rows) gemm_dots(1, 8, p, row, column);
        }
        for (; column < last; column++)
            for (row = 0; row < p->rows; row++) gemm_dots(1, 1, p, row, column);
    } else {
        for (; column + 8 * LANES <= last; column += 8 * LANES)
            for (row = 0; row < p->rows; row++) gemm_strip(8, p, row, column, LANES);
        for (; column < last; column += LANES)
            for (row = 0; row < p->rows; row++)
                gemm_strip(1, p, row, column, gemm_least(last - column, LANES));
    }
    gemm_finish(p, p->c + first, p->rows, last - first);
}
