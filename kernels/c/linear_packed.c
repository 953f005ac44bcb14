/* dx = dy W for packed weights: numpy_ref/linear_packed.py.
 *
 *     for each chunk of rows of W:   w = what their codes stand for    (chunk, k)
 *                                    dx += dy[:, those rows] w
 *
 * A float copy of all of W would cost 4 to 8 times the memory that packing saves. The chunk is lent
 * by Python and depends on k alone, so neither it nor the order of a sum depends on the number of
 * threads. Each chunk costs a pass over dx, 8 rows k bytes, beside its 2 rows k chunk operations.
 */
#include "gemm.h"
#include "kernels.h"
#include "panel.h"
#include "parallel.h"

/* dy: (rows, n); dx: (rows, k); w: room for (chunk, k); scratch: gemm_scratch(threads). */
void linear_packed_backward(const float *dy, int64_t scheme, const void *codes, const void *scale,
                            const float *levels, float *dx, int64_t rows, int64_t n, int64_t k,
                            int64_t chunk, float *w, float *scratch) {
    for (int64_t first = 0; first < n; first += chunk) {
        const int64_t some = n - first < chunk ? n - first : chunk;
        PARALLEL_FOR(row, some, 4 * k)
        packed_row(scheme, codes, scale, levels, first + row, k, w + row * k);
        gemm(&(gemm_problem){.rows = rows, .columns = k, .inner = some,
                             .a = dy + first, .a_row = n, .a_inner = 1,
                             .b = w, .b_inner = k, .b_column = 1,
                             .c = dx, .c_row = k, .residual = first ? dx : 0},
             scratch);
    }
}
