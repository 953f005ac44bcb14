"""Matrix product, batched over leading axes.

Also written in: numba_jit/matmul.py, c/matmul.c (the long story of how it gets fast).
"""

import numpy as np

from kernels import checks, contracts


def matmul_forward(a, b):
    """c[..., m, n] = sum_k a[..., m, k] b[..., k, n].

    a: (..., M, K), b: (..., K, N) float of one dtype; leading axes broadcast as in NumPy.
    Views whose last two axes are swapped are taken as they are, without a copy.
    Returns c (..., M, N).  Raises ValueError naming both shapes if they do not fit.
    """
    contracts.matmul_forward.check(a, b)
    checks.leading(a, b)
    return np.matmul(a, b)


def matmul_backward(dc, a, b):
    """Gradients of matmul_forward.

    dc: (..., M, N); a, b as given to forward (both saved, no copy).
    Returns (da, db) of a's and b's shapes: axes that forward broadcast are summed.
    """
    contracts.matmul_backward.check(dc, a, b)
    checks.gradient_of_product(dc, a, b)
    # dL/da_mk = sum_n dc_mn dc_mn/da_mk = sum_n dc_mn b_kn   =>   da = dc b^T, likewise db = a^T dc
    da = np.matmul(dc, b.swapaxes(-1, -2))  # (..., M, K)
    db = np.matmul(a.swapaxes(-1, -2), dc)  # (..., K, N)
    return _sum_to(da, a.shape), _sum_to(db, b.shape)


def _sum_to(grad, shape):
    """Sum grad over the axes along which an array of `shape` was repeated."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=repeated, keepdims=True) if repeated else grad
