"""AdamW and the sum of squares in Numba; derived in numpy_ref/adamw.py.

Also written in: c/adamw.c.  One pass: param, m and v are read and written once, grad is read once.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.adamw import factors

PARTS = 64  # fixed ranges of sum_of_squares, so that the sum does not depend on the threads


def adamw_update(
    params, grads, ms, vs, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):
    """As numpy_ref.adamw_update, float32; params, ms and vs must be C-contiguous (ValueError)."""
    values = factors(lr, beta1, beta2, eps, weight_decay, step, grad_scale)
    values = tuple(map(np.float32, values))
    for param, grad, m, v in zip(params, grads, ms, vs, strict=True):
        checks.floating("adamw", param=param, grad=grad, m=m, v=v)
        checks.same_shape("adamw", param=param, grad=grad, m=m, v=v)
        checks.in_place("adamw", param=param, m=m, v=v)
        grad = np.ascontiguousarray(grad)
        _update(param.reshape(-1), grad.reshape(-1), m.reshape(-1), v.reshape(-1), *values)


def sum_of_squares(arrays):
    """As numpy_ref.sum_of_squares, float32: the squares are added in float64."""
    total, parts = 0.0, np.zeros(PARTS)
    for x in arrays:
        checks.floating("sum_of_squares", x=x)
        _squares(np.ascontiguousarray(x).reshape(-1), parts)
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
