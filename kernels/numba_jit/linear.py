"""A dense layer: NumPy's BLAS for the products, a Numba pass for what surrounds them.

What it means: numpy_ref/linear.py.  Also written in: c/linear.c, which spares those passes too.
"""

import numpy as np

from kernels import checks, memory
from kernels.numba_jit.gelu import gelu_forward, gelu_with_derivative
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.linear import activate

_GELU, _RELU2 = 1, 2
_CODES = {"gelu": _GELU, "relu2": _RELU2}
ZERO, TWO = np.float32(0), np.float32(2)


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """y = activation(x) W^T + bias + residual; see numpy_ref.linear_forward."""
    checks.linear(x, weight, bias, residual, activation)
    width = weight.shape[0]
    y = memory.empty((*x.shape[:-1], width))
    a = activate(x, activation, gelu_forward)
    np.matmul(a, weight.T, out=y)  # (..., in) -> (..., out)
    if bias is not None:
        np.add(y, bias, out=y)
    if residual is not None:
        np.add(y, residual, out=y)
    return y


def linear_backward(dy, x, weight, activation=None, bias=None):
    """Gradients of linear_forward; see numpy_ref.linear_backward."""
    checks.floating("linear", dy=dy, x=x, weight=weight)
    dx = memory.empty(x.shape)
    np.matmul(dy, weight, out=dx)
    if activation is not None:
        given, x = np.ascontiguousarray(x), memory.empty(x.shape)
        _activate_both(_CODES[activation], given.reshape(-1), x.reshape(-1), dx.reshape(-1))
    rows = dy.reshape(-1, weight.shape[0])  # (..., out) -> (R, out)
    dweight = rows.T @ x.reshape(-1, weight.shape[1])
    return dx, dweight, None if bias is None else rows.sum(axis=0)


@parallel
def _activate_both(activation, x, y, dx):
    """y = act(x) for the weight's gradient, dx *= act'(x): one exp for both."""
    for i in prange(x.size):
        if activation == _GELU:
            y[i], slope = gelu_with_derivative(x[i])
        else:
            positive = max(x[i], ZERO)
            y[i], slope = positive * positive, TWO * positive
        dx[i] *= slope
