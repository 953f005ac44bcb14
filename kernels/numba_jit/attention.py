"""Attention in Numba: no (T, T) matrix; queries side by side, as in c/attention.c.

What it means and the gradients: numpy_ref/attention.py.  A block of QUERIES queries meets KEYS keys
at a time. Everything is kept transposed, one row for each key or coordinate and one column for each
query, so that every inner loop runs along the queries and LLVM turns it into vectors.

Errors against float64 stay within those stated in c/attention.py.
"""

import math

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import inline, parallel, prange
from kernels.numba_jit.vector_math import exp
from kernels.numpy_ref.attention import check_gradients, turned

QUERIES = KEYS = 64
ZERO, ONE = np.float32(0), np.float32(1)
NO_SCORE = np.float32(-3e38)  # below any score, yet -inf minus it is -inf and not nan
# e^-44 counts as zero beside the largest term of its row, 1. That is more than thrift: such
# numbers times a small gradient are denormal, on which a CPU takes a hundred cycles.
LOWEST = np.float32(-44)


def attention_forward(
    q, k, v, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    """y (B, Tq, H, D), lse (B, H, Tq); see numpy_ref.attention_forward."""
    cos, sin = rotary or (None, None)
    arrays, sizes = contracts.attention_forward.ready(q, k, v, first, last, bias, cos, sin)
    checks.attention(sizes, first, last)
    B, Tq, H, D, Tk, Hkv = sizes[:6]
    q, k, v, first, last, bias = arrays[:6]
    q, k = turned(q, k, rotary)
    sight = _sight(q, k, first, last, bias)
    y, lse = memory.empty(q.shape), memory.empty((B, H, Tq))
    factor = np.float32(1 / math.sqrt(D) if scale is None else scale)
    if Tq == 1 and k.size and min(*k.strides, *v.strides) >= 0:
        _forward_one(q, *_flat(k), *_flat(v), Tk, Hkv, factor, *sight, y, lse)
    elif y.size:
        _forward(q, k, v, bool(causal), factor, *sight, y, lse)
    return y, lse


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    """dq, dk, dv, dbias; see numpy_ref.attention_backward."""
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    given = (dy, q, k, v, y, lse, first, last, bias, *(rotary or (None, None)))
    arrays, sizes = contracts.attention_backward.ready(*given)
    checks.attention(sizes, first, last)
    dy, q, k, v, y, lse, first, last, bias = arrays[:9]
    if out is None:
        out = tuple(memory.empty(array.shape) for array in (q, k, v))
    dq, dk, dv = out
    q, k = turned(q, k, rotary)
    sight = _sight(q, k, first, last, bias)
    factor = np.float32(1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    wants_bias = bias is not None and wants_bias
    rows = (q.shape[0], *bias.shape) if wants_bias else (0, 0, 0)
    dbias = np.zeros(rows, np.float32)  # one table for each batch row, so that no two threads meet
    _backward(dy, q, k, v, y, lse, bool(causal), factor, *sight, dq, dk, dv, dbias)
    if rotary is not None:
        dq[...], dk[...] = turned(dq, dk, rotary, back=True)
    return (dq, dk, dv, dbias.sum(axis=0)) if wants_bias else (dq, dk, dv)


def _sight(q, k, first, last, bias):
    """Each query's first key and the one after its last, (B, Tq) int64 each, and the biases by
    distance; where the caller has none all keys, and (0, 0)."""
    queries = q.shape[:2]
    first = np.zeros(queries, np.int64) if first is None else checks.int64(first)
    last = np.full(queries, k.shape[1], np.int64) if last is None else checks.int64(last)
    bias = np.zeros((0, 0), np.float32) if bias is None else bias
    return first, last, np.ascontiguousarray(bias)


def _flat(x):
    """All of x's memory as one contiguous array, and x's steps in it from one batch entry, key and
    head to the next: Numba makes vectors only of what it knows to be contiguous."""
    steps = tuple(step // x.itemsize for step in x.strides)
    last = sum(step * (n - 1) for step, n in zip(steps, x.shape, strict=True))
    return np.lib.stride_tricks.as_strided(x, (last + 1,), (x.itemsize,)), steps[:3]


@inline
def _add_product(a, b, c, rows, depth):
    """c (rows, n) += a (rows, depth) b (depth, n), four rows and four steps at a time.

    Each pass over four rows of c does sixteen multiply-adds for twelve loads and stores.
    """
    n = c.shape[1]
    for r in range(0, rows - 3, 4):
        for k in range(0, depth - 3, 4):
            a00, a01, a02, a03 = a[r, k], a[r, k + 1], a[r, k + 2], a[r, k + 3]
            a10, a11, a12, a13 = a[r + 1, k], a[r + 1, k + 1], a[r + 1, k + 2], a[r + 1, k + 3]
            a20, a21, a22, a23 = a[r + 2, k], a[r + 2, k + 1], a[r + 2, k + 2], a[r + 2, k + 3]
            a30, a31, a32, a33 = a[r + 3, k], a[r + 3, k + 1], a[r + 3, k + 2], a[r + 3, k + 3]
            for i in range(n):
                b0, b1, b2, b3 = b[k, i], b[k + 1, i], b[k + 2, i], b[k + 3, i]
                c[r, i] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                c[r + 1, i] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                c[r + 2, i] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                c[r + 3, i] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
        for k in range(depth - depth % 4, depth):
            for row in range(r, r + 4):
                for i in range(n):
                    c[row, i] += a[row, k] * b[k, i]
    for r in range(rows - rows % 4, rows):
        for k in range(depth):
            for i in range(n):
                c[r, i] += a[r, k] * b[k, i]


@inline
def _pack(x, i0, count, factor, columns):
    """Rows i0 .. i0 + count - 1 of x (T, D), times factor -> columns (D, QUERIES)."""
    for d in range(columns.shape[0]):
        for i in range(count):
            columns[d, i] = factor * x[i0 + i, d]
        for i in range(count, columns.shape[1]):
            columns[d, i] = ZERO


@inline
def _seen(i, Tq, Tk, causal):
    """How many keys query i sees."""
    return max(0, min(i + 1 + Tk - Tq, Tk)) if causal else Tk


@inline
def _keys_of(first, last, i0, count, Tq, Tk, causal):
    """(begin, end): where the first block of keys begins that one of `count` queries from i0 on may
    see, and the key after the last."""
    end = min(_seen(i0 + count - 1, Tq, Tk, causal), last[i0 : i0 + count].max())
    return first[i0 : i0 + count].min() // KEYS * KEYS, end


@parallel(reads="q k v")
def _forward(q, k, v, causal, scale, first, last, bias, y, lse):
    B, Tq, H, D = q.shape
    Tk, Hkv = k.shape[1], k.shape[2]
    blocks = (Tq + QUERIES - 1) // QUERIES
    for piece in prange(B * H * blocks):
        b, h, i0 = piece // (H * blocks), piece // blocks % H, piece % blocks * QUERIES
        kh, vh = k[b, :, h // (H // Hkv)], v[b, :, h // (H // Hkv)]
        count = min(QUERIES, Tq - i0)
        columns = np.empty((D, QUERIES), np.float32)
        out = np.zeros((D, QUERIES), np.float32)
        scores = np.empty((KEYS, QUERIES), np.float32)
        peak, total = np.full(QUERIES, NO_SCORE), np.zeros(QUERIES, np.float32)
        _pack(q[b, :, h], i0, count, scale, columns)
        begin, end = _keys_of(first[b], last[b], i0, count, Tq, Tk, causal)
        for j in range(begin, end, KEYS):
            keys = min(KEYS, end - j)
            scores[:] = ZERO
            _add_product(kh[j : j + keys], columns, scores, keys, D)
            if len(bias):
                _add_bias(scores, bias[h], i0 - j + Tk - 1, keys, count)
            _hide(
                scores, first[b, i0 : i0 + count], last[b, i0 : i0 + count], i0 + Tk - Tq, j, keys,
                causal,
            )
            _softmax_block(scores, keys, peak, total, out)
            _add_product(vh[j : j + keys].T, scores, out, D, keys)
        for i in range(count):
            inverse = ONE / total[i] if total[i] > ZERO or total[i] != total[i] else ZERO
            lse[b, h, i0 + i] = peak[i] + np.log(total[i]) if inverse != ZERO else -np.inf
            for d in range(D):
                y[b, i0 + i, h, d] = out[d, i] * inverse


@inline
def _add_bias(scores, bias, zero, keys, count):
    """scores[j, i] += bias[i - j + zero]."""
    for j in range(keys):
        for i in range(count):
            scores[j, i] += bias[i - j + zero]


@inline
def _hide(scores, first, last, diagonal, j0, keys, causal):
    """-inf for the keys of the block at j0 that query i does not see: it sees those from first[i]
    on and before last[i], and if causal up to i + diagonal."""
    if causal:
        for j in range(max(0, diagonal + 1 - j0), keys):
            for i in range(min(j0 + j - diagonal, QUERIES)):
                scores[j, i] = -np.inf
    for i in range(len(first)):
        for j in range(min(first[i] - j0, keys)):
            scores[j, i] = -np.inf
        for j in range(max(0, last[i] - j0), keys):
            scores[j, i] = -np.inf


@inline
def _softmax_block(scores, keys, peak, total, out):
    """Scores -> exponentials relative to each query's largest score so far; all that was summed
    before (total, out) shrinks to match."""
    keep = np.empty(QUERIES, np.float32)
    for i in range(QUERIES):
        keep[i] = peak[i]
    for j in range(keys):
        for i in range(QUERIES):
            peak[i] = scores[j, i] if scores[j, i] > peak[i] else peak[i]
    for i in range(QUERIES):
        keep[i] = exp(keep[i] - peak[i])
        total[i] *= keep[i]
    for j in range(keys):
        for i in range(QUERIES):
            x = scores[j, i] - peak[i]
            e = ZERO if x < LOWEST else exp(x)
            scores[j, i] = e
            total[i] += e
    for d in range(out.shape[0]):
        for i in range(QUERIES):
            out[d, i] *= keep[i]


@parallel(reads="q")
def _forward_one(
    q, keys, key_steps, values, value_steps, Tk, Hkv, scale, first, last, bias, y, lse
):
    """One query for each head, as when text is written token by token: vectors lie along D."""
    B, _, H, D = q.shape
    for piece in prange(B * H):
        b, h, hk = piece // H, piece % H, piece % H // (H // Hkv)
        query, out = np.empty(D, np.float32), np.zeros(D, np.float32)
        for d in range(D):
            query[d] = q[b, 0, h, d] * scale
        peak, total, start, end = NO_SCORE, ZERO, first[b, 0], last[b, 0]
        for j in range(start, end):
            key_at = b * key_steps[0] + j * key_steps[1] + hk * key_steps[2]
            value_at = b * value_steps[0] + j * value_steps[1] + hk * value_steps[2]
            key, value = keys[key_at : key_at + D], values[value_at : value_at + D]
            score = ZERO
            for d in range(D):
                score += query[d] * key[d]
            if len(bias):
                score += bias[h, Tk - 1 - j]
            if not score <= peak:
                keep = ZERO if peak - score < LOWEST else exp(peak - score)
                peak = score
                total *= keep
                for d in range(D):
                    out[d] *= keep
            e = ZERO if score - peak < LOWEST else exp(score - peak)
            total += e
            for d in range(D):
                out[d] += e * value[d]
        lse[b, h, 0] = peak + np.log(total) if start < end else -np.inf
        for d in range(D):
            y[b, 0, h, d] = out[d] / total if start < end else ZERO


@parallel(reads="dy q k v y lse", writes="dq dk dv")
def _backward(dy, q, k, v, y, lse, causal, scale, first, last, bias, dq, dk, dv, dbias):
    B, Tq, H, D = q.shape
    Tk, Hkv = k.shape[1], k.shape[2]
    group = H // Hkv
    for piece in prange(B * Hkv):
        b, hk = piece // Hkv, piece % Hkv
        kh, vh = k[b, :, hk], v[b, :, hk]
        dk_sum, dv_sum = np.zeros((Tk, D), np.float32), np.zeros((Tk, D), np.float32)
        q_columns, dy_columns = (
            np.empty((D, QUERIES), np.float32),
            np.empty((D, QUERIES), np.float32),
        )
        q_rows, dy_rows = np.empty((QUERIES, D), np.float32), np.empty((QUERIES, D), np.float32)
        dq_columns = np.empty((D, QUERIES), np.float32)
        p, ds = np.empty((KEYS, QUERIES), np.float32), np.empty((KEYS, QUERIES), np.float32)
        shift, dot = np.empty(QUERIES, np.float32), np.empty(QUERIES, np.float32)
        for h in range(hk * group, (hk + 1) * group):
            for i0 in range(0, Tq, QUERIES):
                count = min(QUERIES, Tq - i0)
                _pack(q[b, :, h], i0, count, scale, q_columns)
                _pack(dy[b, :, h], i0, count, ONE, dy_columns)
                for i in range(QUERIES):
                    # A query that sees nothing, or that is not there, gets p = e^-inf = 0.
                    there = i < count and lse[b, h, i0 + min(i, count - 1)] > -np.inf
                    shift[i] = lse[b, h, i0 + i] if there else -NO_SCORE
                    dot[i] = ZERO
                for i in range(count):
                    for d in range(D):
                        q_rows[i, d] = q_columns[d, i]
                        dy_rows[i, d] = dy[b, i0 + i, h, d]
                        dot[i] += dy[b, i0 + i, h, d] * y[b, i0 + i, h, d]
                dq_columns[:] = ZERO
                begin, end = _keys_of(first[b], last[b], i0, count, Tq, Tk, causal)
                for j in range(begin, end, KEYS):
                    keys = min(KEYS, end - j)
                    p[:] = ZERO
                    ds[:] = ZERO
                    _add_product(kh[j : j + keys], q_columns, p, keys, D)  # S^T = K Q^T
                    _add_product(vh[j : j + keys], dy_columns, ds, keys, D)  # dP^T = V dY^T
                    if len(bias):
                        _add_bias(p, bias[h], i0 - j + Tk - 1, keys, count)
                    _hide(
                        p, first[b, i0 : i0 + count], last[b, i0 : i0 + count], i0 + Tk - Tq, j,
                        keys, causal,
                    )
                    _softmax_backward(p, ds, keys, shift, dot)
                    if len(dbias):
                        _sum_bias(dbias[b, h], ds, i0 - j + Tk - 1, keys, count)
                    _add_product(kh[j : j + keys].T, ds, dq_columns, D, keys)
                    _add_product(p, dy_rows, dv_sum[j : j + keys], keys, count)
                    _add_product(ds, q_rows, dk_sum[j : j + keys], keys, count)
                for i in range(count):
                    for d in range(D):
                        dq[b, i0 + i, h, d] = scale * dq_columns[d, i]
        dk[b, :, hk] = dk_sum  # q_rows carry the scale
        dv[b, :, hk] = dv_sum


@inline
def _softmax_backward(p, ds, keys, shift, dot):
    """p = e^(s - lse) in place of the scores, ds = p (dp - dot) in place of dp."""
    for j in range(keys):
        for i in range(QUERIES):
            x = p[j, i] - shift[i]
            e = ZERO if x < LOWEST else exp(x)
            p[j, i] = e
            ds[j, i] = e * (ds[j, i] - dot[i])


@inline
def _sum_bias(dbias, ds, zero, keys, count):
    """dbias[i - j + zero] += ds[j, i]."""
    for j in range(keys):
        for i in range(count):
            dbias[i - j + zero] += ds[j, i]
