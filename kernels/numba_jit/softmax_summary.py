"""What is told of a softmax without writing it; see numpy_ref/softmax_summary.py.

Also written in: c/softmax_summary.c, with the same two passes over a row.
"""

import math

import numpy as np

from kernels import checks, contracts
from kernels.numba_jit.jit import inline, parallel, prange
from kernels.numba_jit.vector_math import exp, row_max

SUMMED, PASSED_OVER = 256, 64
ZERO, ONE, FAR = np.float32(0), np.float32(1), np.float32(-100)


def softmax_summary(logits, ids, k):
    """As numpy_ref.softmax_summary, float32; sums in float64."""
    (logits, ids), (rows, size) = contracts.softmax_summary.ready(logits, ids)
    checks.ids("softmax_summary", ids, size)
    checks.top(k, size)
    top, before = np.empty((rows, k), np.int64), np.empty(rows, np.int64)
    lse, entropy = np.empty(rows), np.empty(rows)
    _summary(logits, checks.int64(ids), top, lse, entropy, before)
    return top, lse, entropy, before


@inline
def _keep_large(x, j, top, count):
    """Put j among the `count` places of the largest so far, behind what is as large."""
    at = count - 1
    while at > 0 and x[top[at - 1]] < x[j]:
        top[at] = top[at - 1]
        at -= 1
    top[at] = j


@inline
def _top(x, top):
    k = top.size
    for j in range(k):
        _keep_large(x, j, top, j + 1)
    for start in range(k, x.size, PASSED_OVER):
        block = x[start : start + PASSED_OVER]
        if row_max(block) <= x[top[k - 1]]:
            continue
        for j in range(start, start + block.size):
            if x[j] > x[top[k - 1]]:
                _keep_large(x, j, top, k)


@parallel
def _summary(logits, ids, top, lse, entropy, before):
    for row in prange(logits.shape[0]):
        x = logits[row]
        _top(x, top[row])
        peak, own = x[top[row, 0]], x[ids[row]]
        mass = mean = 0.0  # sum e^d and sum d e^d, d = x - peak
        above = 0
        for start in range(0, x.size, SUMMED):
            total = bent = ZERO
            for j in range(start, min(start + SUMMED, x.size)):
                d = x[j] - peak
                e = exp(d)
                total += e
                bent += e * (FAR if d < FAR else d)
                above += x[j] > own
            mass += total
            mean += bent
        lse[row] = peak + math.log(mass)
        entropy[row] = math.log(mass) - mean / mass
        before[row] = above
