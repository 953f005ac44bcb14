"""A dense layer: NumPy's BLAS for the products, a Numba pass for what surrounds them.

What it means: numpy_ref/linear.py.  Also written in: c/linear.c, which spares those passes too.
"""

import math

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.gelu import LARGEST, ONE, gelu_forward, gelu_with_derivative
from kernels.numba_jit.jit import inline, parallel, prange
from kernels.numba_jit.vector_math import exp
from kernels.numpy_ref.linear import activate

_CODES = {name: 1 + i for i, name in enumerate(checks.ACTIVATIONS)}
_GELU, _RELU2, _SILU, _RELU, _GELU_ERF = _CODES.values()
ZERO, TWO, HALF, HUNDRED = (np.float32(x) for x in (0, 2, 0.5, 100))
ROOT_HALF, DENSITY = np.float32(0.5**0.5), np.float32((2 * np.pi) ** -0.5)


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """y = activation(x) W^T + bias + residual; see numpy_ref.linear_forward."""
    checks.activation(activation)
    gated = activation in checks.GATED
    contract = contracts.linear_gated_forward if gated else contracts.linear_forward
    x, weight, bias, residual = contract.ready(x, weight, bias, residual)[0]
    width, inner = weight.shape
    checks.halves(gated, x, inner)
    y = memory.empty((*x.shape[:-1], width))
    np.matmul(activate_forward(x, activation), weight.T, out=y)  # (..., in) -> (..., out)
    if bias is not None:
        np.add(y, bias, out=y)
    if residual is not None:
        np.add(y, residual, out=y)
    return y


def activate_forward(x, activation):
    """As numpy_ref.activate_forward, float32."""
    checks.activation(activation)
    (x,), _ = contracts.activate_forward.ready(x)
    checks.even(activation in checks.GATED, x)
    if activation == "gelu_erf":  # the reference's way, one Python call a number, is slow
        return _activate(_GELU_ERF, x, None, True)
    return activate(x, activation, gelu_forward)


def activate_backward(da, x, activation):
    """As numpy_ref.activate_backward, float32."""
    checks.activation(activation)
    gated = activation in checks.GATED
    (da, x), _ = contracts.activate_backward.ready(da, x)
    checks.same_rows(gated, da, x)
    if gated:
        return _gate(_CODES[checks.GATED[activation]], x, da, False)[1]
    dx = memory.empty(da.shape)
    dx[...] = da
    if activation is not None:
        _activate(_CODES[activation], x, dx, False)
    return dx


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    """Gradients of linear_forward; see numpy_ref.linear_backward."""
    checks.activation(activation)
    gated = activation in checks.GATED
    contract = contracts.linear_gated_backward if gated else contracts.linear_backward
    (dy, x, weight, bias), (R, *_) = contract.ready(dy, x, weight, bias)
    out, inner = weight.shape
    checks.input_for(wants, x, activation)
    checks.halves(gated, x, inner)
    dx = dweight = dbias = None
    rows = dy.reshape(R, out)  # (..., out) -> (R, out)
    if wants[0]:
        dx = memory.empty((*dy.shape[:-1], weight.shape[1]))
        np.matmul(dy, weight, out=dx)
    if activation in checks.GATED and (wants[0] or wants[1]):
        x, dx = _gate(_CODES[checks.GATED[activation]], x, dx, wants[1])
    elif activation is not None and (wants[0] or wants[1]):
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


def _gate(activation, x, da, wants_y):
    """(act(g) u, dx) of x = (g, u); dx None without da, the other empty if it is not wanted."""
    rows = x.reshape(-1, x.shape[-1])  # (..., 2 in) -> (R, 2 in)
    n = rows.shape[1] // 2
    y = memory.empty((len(rows) if wants_y else 0, n))
    dx = None if da is None else memory.empty(x.shape)
    none = memory.empty((0, n))
    _gate_both(
        activation, rows, y, none if da is None else da.reshape(-1, n),
        memory.empty((0, 2 * n)) if dx is None else dx.reshape(-1, 2 * n),
    )
    return y, dx


@parallel
def _gate_both(activation, x, y, da, dx):
    n = x.shape[1] // 2
    for r in prange(len(x)):
        for i in range(n):
            value, slope = _value_and_slope(activation, x[r, i])
            if len(y):
                y[r, i] = value * x[r, n + i]
            if len(dx):
                dx[r, i], dx[r, n + i] = da[r, i] * x[r, n + i] * slope, da[r, i] * value


@inline
def _value_and_slope(activation, x):
    if activation == _GELU:
        value, slope = gelu_with_derivative(x)
    elif activation == _SILU:
        e = exp(-x)
        s = ONE / (ONE + e)
        value = x * s
        slope = s + value * (min(e, LARGEST) * s)
    elif activation == _RELU:
        value, slope = max(x, ZERO), ONE if x > ZERO else ZERO
    elif activation == _GELU_ERF:
        phi = np.float32(0.5 * math.erfc(-x * ROOT_HALF))
        bounded = min(max(x, -HUNDRED), HUNDRED)
        value, slope = x * phi, phi + bounded * exp(-bounded * bounded * HALF) * DENSITY
    else:
        positive = max(x, ZERO)
        value, slope = positive * positive, TWO * positive
    return value, slope


@parallel
def _activate_both(activation, x, y, dx):
    """y = act(x) for the weight's gradient, dx *= act'(x): one exp for both.

    y or dx of no elements: it is not wanted.
    """
    for i in prange(x.size):
        value, slope = _value_and_slope(activation, x[i])
        if y.size:
            y[i] = value
        if dx.size:
            dx[i] *= slope
