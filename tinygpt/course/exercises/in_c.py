"""In C: the end of a row, a tile in registers, and a product that is faster than three loops."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tinygpt.course.compiling import Margined, empty
from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, mistake

N = ctypes.c_int64
INTEGERS = tuple(float(n) for n in (0, 1, -1, 2, -2, 3, -3))


def _rows(draw: Draw) -> tuple[Any, ...]:
    shape = (draw.integer(1, 3), draw.integer(1, 11))
    y = np.abs(draw.array(shape, np.float32)) + np.float32(0.25)
    return draw.array(shape, np.float32), y / y.sum(axis=-1, keepdims=True)


def _softmax_backward(f: Any, dy: np.ndarray, y: np.ndarray) -> Any:
    given, out = [Margined(dy), Margined(y)], empty(dy.shape)
    f(given[0].pointer, given[1].pointer, out.pointer, N(len(dy)), N(dy.shape[1]))
    return {"dx": out.inner.copy(), "margin stays": out.intact}


TAIL = Exercise(
    name="c-tail", title="In C: the end of a row", kind="write",
    target="kernels/c/softmax.c:softmax_backward", chapter="matmul.md", minutes=45,
    after=("softmax-gradient",), exported="softmax_backward",
    about="simd.h has the vocabulary: LANES numbers at once, v_load, v_store, v_sub, v_mul, "
          "v_set1, "
    "and v_load_part, v_store_part for the first n of them. softmax_row_dot(a, b, n) is there.",
    hints=(
        "For each row: its dot product of dy and y, in all lanes of a vector (v_set1). "
        "PARALLEL_FOR "
        "shares the rows out: PARALLEL_FOR(row, rows, 4 * columns) { ... }.",
        "Whole vectors first: for (; i + LANES <= columns; i += LANES).",
        "What is left are n = columns - i numbers: load them, and store them, with _part. A whole "
        "store would write over the next row.",
    ),
    call=_rows, run=_softmax_backward, inputs=60, closeness=1e-5,
    shown="softmax_backward(...)  # dy {0}, y {1}",
    mistakes=(
        mistake("the numbers behind the last whole vector are left out",
                "A row of 11 is two vectors of 4 and 3 numbers more.",
                "if (i < columns) {", "if (0) {"),
        mistake("the last store is a whole vector",
                "It writes over the beginning of the next row, or beyond the array.",
                "v_store_part(to + i, v_mul(v_load_part(p + i, n), gradient), n);",
                "v_store(to + i, v_mul(v_load_part(p + i, n), gradient));"),
        mistake("the last vector is stored one number short",
                "n = columns - i numbers are left.",
                "int64_t n = columns - i;", "int64_t n = columns - i - 1;"),
        mistake("the dot product is not subtracted",
                "dx = y (dy - sum dy y).",
                "v_sub(v_load(g + i), dot)", "v_load(g + i)"),
        mistake("the dot product is not subtracted at the end of a row",
                "The rest of a row follows the same formula.",
                "v_sub(v_load_part(g + i, n), dot)", "v_load_part(g + i, n)"),
        mistake("every row is read from the first",
                "Row `row` begins at row * columns.",
                "*g = dy + row * columns, *p", "*g = dy, *p"),
        mistake("every row is written to the first",
                "Row `row` begins at row * columns.",
                "*to = dx + row * columns;", "*to = dx;"),
        mistake("the dot product is that of dy with itself",
                "sum dy y: the other one is y.",
                "softmax_row_dot(g, p, columns)", "softmax_row_dot(g, g, columns)"),
        mistake("y is forgotten",
                "dx = y (dy - sum dy y).",
                "v_mul(v_load(p + i), v_sub(v_load(g + i), dot))", "v_sub(v_load(g + i), dot)"),
    ),
)


def _tile(draw: Draw) -> tuple[Any, ...]:
    """a, b (packed, 8 columns wide), start or None, columns."""
    rows, columns, depth = draw.integer(1, 6), draw.integer(1, 8), draw.integer(1, 5)
    a, b = draw.array((rows, depth), np.float32), draw.array((depth, 8), np.float32)
    kind = draw.choice(("none", "bias", "matrix"))
    shape = {"none": (0,), "bias": (1, columns), "matrix": (rows, columns)}[kind]
    return a, b, draw.array(shape, np.float32) if kind != "none" else None, columns


def _run_tile(f: Any, a: np.ndarray, b: np.ndarray, start: Any, columns: int) -> Any:
    rows, depth = a.shape
    left, right, out = Margined(a), Margined(b), empty((rows, columns))
    begin = None if start is None else Margined(start)
    step = 0 if start is None or len(start) == 1 < rows else columns
    f(ctypes.c_int(rows), N(columns), N(depth), left.pointer, N(depth), right.pointer,
      None if begin is None else begin.pointer, N(step), out.pointer, N(columns))
    return {"c": out.inner.copy(), "margin stays": out.intact}


TILE_ENTRY = """
void course_tile(int rows, int64_t columns, int64_t depth, const float *a, int64_t a_row,
                 const float *b, const float *start, int64_t start_row, float *c, int64_t c_row) {
    int vectors = columns > LANES ? 2 : 1;
    gemm_tile(rows, vectors, a_row, 1, depth, a, b, start, start_row, c, c_row,
              columns - (vectors - 1) * LANES);
}
"""
TILE = Exercise(
    name="c-tile", title="In C: a tile of a product", kind="write",
    target="kernels/c/gemm_tile.h:gemm_tile", chapter="matmul.md", minutes=120,
    after=("c-tail", "matmul-gradient"), exported="course_tile",
    exports=TILE_ENTRY,
    about="NV vectors side by side and MR rows at most: vf sum[MR][NV] stays in registers, because "
    "every loop over `rows` and `vectors` has a constant bound and is unrolled (UNROLL).",
    hints=(
        "Sums begin at zero, or at `start`. The last vector of a row may be a part: `tail` "
        "numbers.",
        "For each k: the vectors of b's row (b + j * LANES, NR apart from k to k); then for each "
        "row "
        "one number of a in all lanes (v_set1), and v_fma adds the product.",
        "At the end store: whole vectors, and the last one whole if tail == LANES, else with "
        "v_store_part.",
    ),
    call=_tile, run=_run_tile, inputs=80, closeness=1e-5,
    shown="gemm_tile(...)  # a {0}, b {1}, start {2}, columns {3}",
    mistakes=(
        mistake("sums do not begin at `start`",
                "A bias, a residual or an earlier part of k stands there.",
                "if (start) {", "if (0) {"),
        mistake("the last vector is stored whole",
                "Beyond `tail` lies the next row, or nobody's memory.",
                "if (tail == LANES)\n            v_store", "if (1)\n            v_store"),
        mistake("only the last k counts",
                "The products of all k add up: v_fma(element, column, sum).",
                "sum[i][j] = v_fma(element, column[j], sum[i][j]);",
                "sum[i][j] = v_mul(element, column[j]);"),
        mistake("b's rows lie LANES apart",
                "A packed row has NR numbers, NV vectors.",
                "a += a_inner, b += NR", "a += a_inner, b += LANES"),
        mistake("b stands still", "Each k has its own row of b.",
                "a += a_inner, b += NR", "a += a_inner"),
        mistake("every row takes the first row of a",
                "Row i reads a[i * a_row].", "v_set1(a[i * a_row])", "v_set1(a[0])"),
        mistake("one k is left out", "depth of them.",
                "k < depth; k++, a", "k < depth - 1; k++, a"),
        mistake("both vectors are the first",
                "Vector j begins j * LANES further.",
                "column[j] = v_load(b + j * LANES)", "column[j] = v_load(b)"),
        mistake("the bias moves from row to row",
                "start_row says how far: 0 repeats one row.",
                "start + i * start_row", "start + i * c_row"),
    ),
)


def _matrices(draw: Draw) -> tuple[Any, ...]:
    m, n, k = (draw.integer(1, 9) for _ in range(3))
    return draw.array((m, k), np.float32, INTEGERS), draw.array((k, n), np.float32, INTEGERS)


def _multiply(f: Any, a: np.ndarray, b: np.ndarray) -> Any:
    (m, k), n = a.shape, b.shape[1]
    left, right, out = Margined(a), Margined(b), empty((m, n))
    f(left.pointer, right.pointer, out.pointer, N(m), N(n), N(k))
    return {"c": out.inner.copy(), "margin stays": out.intact}


def _large() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((256, 256), dtype=np.float32) for _ in range(2))


FASTER = Exercise(
    name="matmul-faster", title="In C: beyond three loops", kind="faster",
    target="tinygpt/course/rungs/matmul.c:matmul", chapter="matmul.md", minutes=45,
    after=("matmul-gradient",), exported="matmul", goal=2.0, work=_large,
    hints=(
        "The innermost loop walks down a column of b: each step is another line of memory, and the "
        "sum waits for itself.",
        "Exchange the loops over j and k: then the innermost one walks along a row of b and a row "
        "of "
        "c, and the compiler takes several numbers at once.",
        "c must begin at zero then. Next: several rows of c at a time, so that each number of b is "
        "used several times.",
    ),
    call=_matrices, run=_multiply, inputs=60, closeness=1e-5,
    shown="matmul(...)  # a {0}, b {1}",
    mistakes=(
        mistake("b is read as if it were transposed", "b[k * N + j]: rows of N numbers.",
                "b[k * N + j]", "b[j * K + k]"),
        mistake("a is read as if it were transposed", "a[i * K + k]: rows of K numbers.",
                "a[i * K + k]", "a[k * M + i]"),
        mistake("c is written transposed", "c[i * N + j]: rows of N numbers.",
                "c[i * N + j] = sum", "c[j * M + i] = sum"),
        mistake("only the last product is left", "The products of all k add up.",
                "sum += a", "sum = a"),
        mistake("what was in c is added to", "c is overwritten: it may hold anything before.",
                "c[i * N + j] = sum", "c[i * N + j] += sum"),
        mistake("the last k is left out", "K of them.", "k < K; k++", "k < K - 1; k++"),
        mistake("the last column is left out", "N of them.", "j < N; j++", "j < N - 1; j++"),
    ),
)

EXERCISES = (TAIL, TILE, FASTER)
