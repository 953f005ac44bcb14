"""A dense layer: y = activation(x W^T + bias) + residual.

Also written in: numba_jit/linear.py, c/linear.c (matmul with all that follows it in its epilogue).
"""

import numpy as np

from kernels import checks
from kernels.numpy_ref.gelu import gelu_with_derivative


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """One dense layer with what usually follows it.

    x: (..., in), weight: (out, in), bias: (out,), residual: (..., out), float of one dtype.
    activation: None, "gelu" (tanh form) or "relu2" (max(0, z)^2, So et al. 2021).
    Returns (y, dact): y (..., out); dact (..., out) is the activation's derivative at each output,
    saved because the tanh is at hand here (4 bytes an output), or None without an activation.
    Raises ValueError for shapes that do not fit or an unknown activation.
    """
    checks.linear(x, weight, bias, residual, activation)
    y, dact = x @ weight.T, None  # (..., in) -> (..., out)
    if bias is not None:
        y = y + bias
    if activation == "gelu":
        y, dact = gelu_with_derivative(y)
    elif activation == "relu2":
        positive = np.maximum(y, 0)
        y, dact = positive * positive, 2 * positive
    if residual is not None:
        y = y + residual
    return y, dact


def linear_backward(dy, x, weight, dact=None, bias=None):
    """Gradients of linear_forward; the residual's gradient is dy itself.

    dy: (..., out); x, weight, bias as given to forward; dact as it returned.
    Returns (dx, dweight, dbias), dbias None without a bias.
    """
    checks.floating("linear", dy=dy, x=x, weight=weight, dact=dact)
    # z = x W^T + b, y = act(z) + r   =>   dz = dy act'(z)
    # dx = dz W,   dW_oi = sum_rows dz_o x_i = (dz^T x)_oi,   db_o = sum_rows dz_o
    dz = dy if dact is None else dy * dact
    rows = dz.reshape(-1, weight.shape[0])  # (..., out) -> (R, out)
    dweight = rows.T @ x.reshape(-1, weight.shape[1])
    return dz @ weight, dweight, None if bias is None else rows.sum(axis=0)
