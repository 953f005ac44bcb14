"""A dense layer: NumPy's BLAS for the products, one Numba pass for all that follows them.

What it means: numpy_ref/linear.py.  Also written in: c/linear.c, which spares that pass too.
"""

import numpy as np

from kernels import checks, memory
from kernels.numba_jit.gelu import gelu_with_derivative
from kernels.numba_jit.jit import parallel, prange

_NONE, _GELU, _RELU2 = 0, 1, 2
_CODES = {None: _NONE, "gelu": _GELU, "relu2": _RELU2}
_NOTHING = np.zeros((0, 0), np.float32)  # stands for an argument that was not given
ZERO, TWO = np.float32(0), np.float32(2)


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """y = activation(x W^T + bias) + residual, dact; see numpy_ref.linear_forward."""
    checks.linear(x, weight, bias, residual, activation)
    width = weight.shape[0]
    y = memory.empty((*x.shape[:-1], width))
    np.matmul(x, weight.T, out=y)  # (..., in) -> (..., out)
    dact = None if activation is None else memory.empty(y.shape)
    if y.size and not (bias is None and activation is None and residual is None):
        _epilogue(
            y.reshape(-1, width),
            np.zeros(width, np.float32) if bias is None else bias,
            _CODES[activation],
            _NOTHING if dact is None else dact.reshape(-1, width),
            _NOTHING if residual is None else np.ascontiguousarray(residual).reshape(-1, width),
        )
    return y, dact


def linear_backward(dy, x, weight, dact=None, bias=None):
    """Gradients of linear_forward; see numpy_ref.linear_backward."""
    checks.floating("linear", dy=dy, x=x, weight=weight, dact=dact)
    dz = dy
    if dact is not None:
        checks.same_shape("linear", dy=dy, dact=dact)
        dz = memory.empty(dy.shape)
        _multiply(np.ascontiguousarray(dy).reshape(-1), dact.reshape(-1), dz.reshape(-1))
    rows = dz.reshape(-1, weight.shape[0])  # (..., out) -> (R, out)
    dweight = rows.T @ x.reshape(-1, weight.shape[1])
    return dz @ weight, dweight, None if bias is None else rows.sum(axis=0)


@parallel
def _epilogue(y, bias, activation, dact, residual):
    """y <- activation(y + bias) + residual, row by row while the row is in the cache."""
    rows, width = y.shape
    for row in prange(rows):
        for j in range(width):
            y[row, j] += bias[j]
        if activation == _GELU:
            for j in range(width):
                y[row, j], dact[row, j] = gelu_with_derivative(y[row, j])
        elif activation == _RELU2:
            for j in range(width):
                positive = max(y[row, j], ZERO)
                y[row, j], dact[row, j] = positive * positive, TWO * positive
        if residual.size > 0:
            for j in range(width):
                y[row, j] += residual[row, j]


@parallel
def _multiply(a, b, out):
    for i in prange(a.size):
        out[i] = a[i] * b[i]
