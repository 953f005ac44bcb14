"""A dense layer: y = activation(x) W^T + bias + residual.

The activation is applied to what comes in, not to what goes out: then x is all that backward needs,
and act(x), as large as x, exists in no memory: the fast versions compute it while they read x.

Also written in: numba_jit/linear.py, c/linear.c (all of it inside the matrix products).
"""

import numpy as np

from kernels import checks
from kernels.numpy_ref.gelu import gelu_forward, gelu_with_derivative


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """One dense layer with what usually comes before and after it.

    x: (..., in), weight: (out, in), bias: (out,), residual: (..., out), float of one dtype.
    activation: of x: None, "gelu" (tanh form) or "relu2" (max(0, x)^2, So et al. 2021).
    Returns y (..., out).  Saved for backward: x, 4 bytes a value; act(x) and act'(x) are computed
    again, which costs two exps a value and saves 8 bytes.
    Raises ValueError for shapes that do not fit or an unknown activation.
    """
    checks.linear(x, weight, bias, residual, activation)
    y = activate(x, activation) @ weight.T  # (..., in) -> (..., out)
    if bias is not None:
        y = y + bias
    return y if residual is None else y + residual


def linear_backward(dy, x, weight, activation=None, bias=None):
    """Gradients of linear_forward; the residual's gradient is dy itself.

    dy: (..., out); x, weight, activation, bias as given to forward.
    Returns (dx, dweight, dbias), dbias None without a bias.
    """
    checks.floating("linear", dy=dy, x=x, weight=weight)
    # y = act(x) W^T + b   =>   dx = (dy W) act'(x),   db_o = sum_rows dy_o,
    # dW_oi = sum_rows dy_o act(x)_i = (dy^T act(x))_oi
    a, slope = activate_with_derivative(x, activation)
    dx = dy @ weight
    rows = dy.reshape(-1, weight.shape[0])  # (..., out) -> (R, out)
    dweight = rows.T @ a.reshape(-1, weight.shape[1])
    dbias = None if bias is None else rows.sum(axis=0)
    return dx if slope is None else dx * slope, dweight, dbias


def activate(x, activation, gelu=gelu_forward):
    """act(x), element by element.  gelu: another backend's gelu_forward."""
    if activation == "gelu":
        return gelu(x)
    return np.maximum(x, 0) ** 2 if activation == "relu2" else x


def activate_with_derivative(x, activation):
    """(act(x), act'(x)); (x, None) without an activation."""
    if activation == "gelu":
        return gelu_with_derivative(x)
    if activation == "relu2":
        positive = np.maximum(x, 0)
        return positive * positive, 2 * positive
    return x, None
