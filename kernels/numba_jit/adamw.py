"""AdamW and the sum of squares in Numba; derived in numpy_ref/adamw.py.

Also written in: c/adamw.c.  One pass: param, m and v are read and written once, grad is read once.
"""

import numpy as np

from kernels import checks, contracts
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.adamw import check_apart, factors

PARTS = 64  # fixed ranges of sum_of_squares, so that the sum does not depend on the threads


def adamw_update(
    params, grads, ms, vs, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):
    """As numpy_ref.adamw_update, float32."""
    checks.step("adamw", step)
    rows = contracts.adamw.ready_rows(params, grads, ms, vs)
    if rows:
        check_apart(*zip(*rows, strict=True))
    values = factors(lr, beta1, beta2, eps, weight_decay, step, grad_scale)
    values = tuple(map(np.float32, values))
    for arrays in rows:
        _update(*(array.reshape(-1) for array in arrays), *values)


def sum_of_squares(arrays):
    """As numpy_ref.sum_of_squares, float32: the squares are added in float64."""
    total, parts = 0.0, np.zeros(PARTS)
    for (x,) in contracts.sum_of_squares.ready_rows(arrays):
        _squares(x.reshape(-1), parts)
        total += float(parts.sum())
    return total


@parallel
def _update(
    param, grad, m, v, grad_scale, toward1, toward2, decay, rate, root_correction, eps
):
    for i in prange(param.size):
        g = grad[i] * grad_scale
        a, b = m[i] + (g - m[i]) * toward1, v[i] + (g * g - v[i]) * toward2
        m[i], v[i] = a, b
        param[i] = param[i] * decay - rate * a / (np.sqrt(b) * root_correction + eps)


@parallel
def _squares(x, parts):
    size = (x.size + PARTS - 1) // PARTS
    for part in prange(PARTS):
        piece, total = x[part * size : (part + 1) * size], 0.0  # loops from 0 are vectorised
        for i in range(piece.size):
            wide = np.float64(piece[i])
            total += wide * wide
        parts[part] = total
