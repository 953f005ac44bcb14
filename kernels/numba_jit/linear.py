"""A dense layer: NumPy's BLAS for the products, a Numba pass for what surrounds them.

What it means: numpy_ref/linear.py.  Also written in: c/linear.c, which spares those passes too.
"""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.gelu import LARGEST, ONE, gelu_forward, gelu_with_derivative
from kernels.numba_jit.jit import parallel, prange
from kernels.numba_jit.vector_math import exp
from kernels.numpy_ref.linear import activate

_GELU, _RELU2, _SILU = 1, 2, 3
_CODES = {"gelu": _GELU, "relu2": _RELU2, "silu": _SILU}
ZERO, TWO = np.float32(0), np.float32(2)


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """y = activation(x) W^T + bias + residual; see numpy_ref.linear_forward."""
    arrays, (_, _, width) = contracts.linear_forward.ready(x, weight, bias, residual)
    x, weight, bias, residual = arrays
    checks.activation(activation)
    y = memory.empty((*x.shape[:-1], width))
    a = activate(x, activation, gelu_forward)
    np.matmul(a, weight.T, out=y)  # (..., in) -> (..., out)
    if bias is not None:
        np.add(y, bias, out=y)
    if residual is not None:
        np.add(y, residual, out=y)
    return y


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    """Gradients of linear_forward; see numpy_ref.linear_backward."""
    arrays, (R, out, inner) = contracts.linear_backward.ready(dy, x, weight, bias)
    dy, x, weight, bias = arrays
    checks.activation(activation)
    checks.input_for(wants, x, activation)
    dx = dweight = dbias = None
    rows = dy.reshape(R, out)  # (..., out) -> (R, out)
    if wants[0]:
        dx = memory.empty((*dy.shape[:-1], weight.shape[1]))
        np.matmul(dy, weight, out=dx)
    if activation is not None and (wants[0] or wants[1]):
        x = _activate(_CODES[activation], x, dx, wants[1])
    if wants[1]:
        dweight = rows.T @ x.reshape(R, inner)
    if wants[2] and bias is not None:
        dbias = rows.sum(axis=0)
    return dx, dweight, dbias


def _activate(activation, x, dx, wants_y):
    """dx *= act'(x), unless dx is None; returns act(x), or nothing much if it is not wanted."""
    y = memory.empty(x.shape if wants_y else (0,))
    dx = memory.empty((0,)) if dx is None else dx
    _activate_both(activation, x.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return y


@parallel
def _activate_both(activation, x, y, dx):
    """y = act(x) for the weight's gradient, dx *= act'(x): one exp for both.

    y or dx of no elements: it is not wanted.
    """
    for i in prange(x.size):
        if activation == _GELU:
            value, slope = gelu_with_derivative(x[i])
        elif activation == _SILU:
            e = exp(-x[i])
            s = ONE / (ONE + e)
            value = x[i] * s
            slope = s + value * (min(e, LARGEST) * s)
        else:
            positive = max(x[i], ZERO)
            value, slope = positive * positive, TWO * positive
        if y.size:
            y[i] = value
        if dx.size:
            dx[i] *= slope
