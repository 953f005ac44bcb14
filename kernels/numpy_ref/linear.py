"""A dense layer: y = activation(x) W^T + bias + residual.

The activation is applied to what comes in, not to what goes out: then x is all that backward needs,
and act(x), as large as x, exists in no memory: the fast versions compute it while they read x.

Also written in: numba_jit/linear.py, c/linear.c (all of it inside the matrix products).
"""

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.gelu import gelu_erf_with_derivative, gelu_forward, gelu_with_derivative


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """One dense layer with what usually comes before and after it.

    x: (..., in), weight: (out, in), bias: (out,), residual: (..., out), float of one dtype.
    activation: of x: None, "gelu" (tanh form), "relu2" (max(0, x)^2, So et al. 2021), "silu"
    (x sigmoid(x), Elfwing et al. 2018), "relu", "gelu_erf" (x Phi(x), no approximation; what BERT
    has); or a gate, "swiglu" or "geglu" (Shazeer 2020): x is
    (..., 2 in), silu or gelu of its first half times its second.
    Returns y (..., out).  Saved for backward: x, 4 bytes a value; act(x) and act'(x) are computed
    again, which costs two exps a value and saves 8 bytes.
    Raises ValueError for shapes that do not fit or an unknown activation.
    """
    checks.activation(activation)
    gated = activation in checks.GATED
    contract = contracts.linear_gated_forward if gated else contracts.linear_forward
    contract.check(x, weight, bias, residual)
    checks.halves(gated, x, weight.shape[1])
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
    checks.activation(activation)
    gated = activation in checks.GATED
    contract = contracts.linear_gated_backward if gated else contracts.linear_backward
    (R, *_), (out, inner) = contract.check(dy, x, weight, bias), weight.shape
    checks.input_for(wants, x, activation)
    checks.halves(gated, x, inner)
    # y = act(x) W^T + b   =>   dx = (dy W) act'(x),   db_o = sum_rows dy_o,
    # dW_oi = sum_rows dy_o act(x)_i = (dy^T act(x))_oi
    dx = dweight = dbias = None
    rows = dy.reshape(R, out)  # (..., out) -> (R, out)
    if wants[0]:
        dx = activation_gradient(dy @ weight, x, activation)
    if wants[1]:
        dweight = rows.T @ activate(x, activation).reshape(R, inner)
    if wants[2] and bias is not None:
        dbias = rows.sum(axis=0)
    return dx, dweight, dbias


def activate_forward(x, activation):
    """act(x) by itself, for what no float product follows: packed weights take it ready.

    x: (..., C) float; activation: as linear_forward.  Returns (..., C), of a gate (..., C / 2).
    Raises ValueError for an unknown activation or a gate of an odd C.
    """
    checks.activation(activation)
    contracts.activate_forward.check(x)
    checks.even(activation in checks.GATED, x)
    return activate(x, activation)


def activate_backward(da, x, activation):
    """The gradient of x, given da, that of act(x).

    da: (..., n), x: (..., n), of a gate (..., 2 n), float.  Returns dx like x.
    Raises ValueError as activate_forward, and for shapes that do not fit.
    """
    checks.activation(activation)
    contracts.activate_backward.check(da, x)
    checks.same_rows(activation in checks.GATED, da, x)
    return activation_gradient(da, x, activation)


def activate(x, activation, gelu=gelu_forward):
    """act(x), element by element.  gelu: another backend's gelu_forward."""
    if activation in checks.GATED:
        gate, up = np.split(x, 2, axis=-1)  # (..., 2 in) -> (..., in) twice
        return activate(gate, checks.GATED[activation], gelu) * up
    if activation == "gelu":
        return gelu(x)
    return x if activation is None else activate_with_derivative(x, activation)[0]


def activation_gradient(da, x, activation):
    """activate_backward of arrays that are known to fit."""
    if activation is None:
        return da
    if activation in checks.GATED:
        # a = act(g) u   =>   dg = da u act'(g),   du = da act(g)
        gate, up = np.split(x, 2, axis=-1)
        a, slope = activate_with_derivative(gate, checks.GATED[activation])
        return np.concatenate([da * up * slope, da * a], axis=-1)
    return da * activate_with_derivative(x, activation)[1]


def activate_with_derivative(x, activation):
    """(act(x), act'(x)) of an activation without a gate."""
    if activation == "gelu":
        return gelu_with_derivative(x)
    if activation == "gelu_erf":
        return gelu_erf_with_derivative(x)
    if activation == "relu":
        return np.maximum(x, 0), (x > 0).astype(x.dtype)
    if activation == "relu2":
        positive = np.maximum(x, 0)
        return positive * positive, 2 * positive
    if activation == "silu":
        # y = x s,  s = 1 / (1 + e^-x)   =>   dy/dx = s + x s (1 - s),   1 - s = 1 / (1 + e^x)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) = 0 is right
            s, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
        return x * s, s + x * s * rest
    raise ValueError(f"unknown activation {activation!r}")
