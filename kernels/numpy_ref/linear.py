"""A dense layer: y = activation(x) W^T + bias + residual.

The activation is applied to what comes in, not to what goes out: then x is all that backward needs,
and act(x), as large as x, exists in no memory: the fast versions compute it while they read x.

Also written in: numba_jit/linear.py, c/linear.c (all of it inside the matrix products).
"""

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.gelu import gelu_forward, gelu_with_derivative


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """One dense layer with what usually comes before and after it.

    x: (..., in), weight: (out, in), bias: (out,), residual: (..., out), float of one dtype.
    activation: of x: None, "gelu" (tanh form), "relu2" (max(0, x)^2, So et al. 2021) or "silu"
    (x sigmoid(x), Elfwing et al. 2018).
    Returns y (..., out).  Saved for backward: x, 4 bytes a value; act(x) and act'(x) are computed
    again, which costs two exps a value and saves 8 bytes.
    Raises ValueError for shapes that do not fit or an unknown activation.
    """
    contracts.linear_forward.check(x, weight, bias, residual)
    checks.activation(activation)
    y = activate(x, activation) @ weight.T  # (..., in) -> (..., out)
    if bias is not None:
        y = y + bias
    return y if residual is None else y + residual


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    """Gradients of linear_forward; the residual's gradient is dy itself.

    dy: (..., out); x, weight, activation, bias as given to forward.
    wants: which of (dx, dweight, dbias) to compute. A frozen weight's dweight is a third of a
    training step's work on it, the first layer's dx another. dweight reads x, and dx does where
    there is an activation; if nothing that is wanted reads it, x may be None.
    Returns (dx, dweight, dbias), None for what is not wanted; dbias also None without a bias.
    Raises ValueError for shapes that do not fit or an x that is missing.
    """
    R, out, inner = contracts.linear_backward.check(dy, x, weight, bias)
    checks.activation(activation)
    checks.input_for(wants, x, activation)
    # y = act(x) W^T + b   =>   dx = (dy W) act'(x),   db_o = sum_rows dy_o,
    # dW_oi = sum_rows dy_o act(x)_i = (dy^T act(x))_oi
    dx = dweight = dbias = None
    rows = dy.reshape(R, out)  # (..., out) -> (R, out)
    a, slope = activate_with_derivative(x, activation) if wants[0] or wants[1] else (None, None)
    if wants[0]:
        dx = dy @ weight if slope is None else (dy @ weight) * slope
    if wants[1]:
        dweight = rows.T @ a.reshape(R, inner)
    if wants[2] and bias is not None:
        dbias = rows.sum(axis=0)
    return dx, dweight, dbias


def activate(x, activation, gelu=gelu_forward):
    """act(x), element by element.  gelu: another backend's gelu_forward."""
    if activation == "gelu":
        return gelu(x)
    return x if activation is None else activate_with_derivative(x, activation)[0]


def activate_with_derivative(x, activation):
    """(act(x), act'(x)); (x, None) without an activation."""
    if activation == "gelu":
        return gelu_with_derivative(x)
    if activation == "relu2":
        positive = np.maximum(x, 0)
        return positive * positive, 2 * positive
    if activation == "silu":
        # y = x s,  s = 1 / (1 + e^-x)   =>   dy/dx = s + x s (1 - s),   1 - s = 1 / (1 + e^x)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) = 0 is right
            s, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
        return x * s, s + x * s * rest
    return x, None
