"""Functions of one array, element by element."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minigrad.tensor import FLOATS, Tensor, floats


def exp(x: Tensor) -> Tensor:
    """e^x."""
    x = floats(x)
    y = np.exp(x.data)
    return Tensor(y, (x,), lambda dy: (dy * y,))


def expm1(x: Tensor) -> Tensor:
    """e^x - 1, exact also where x is small."""
    x = floats(x)
    y = np.expm1(x.data)
    return Tensor(y, (x,), lambda dy: (dy * (y + 1),))


def log(x: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0 and nan below, with NumPy's warning."""
    x = floats(x)
    u = x.data
    return Tensor(np.log(u), (x,), lambda dy: (dy / u,))


def log1p(x: Tensor) -> Tensor:
    """log(1 + x), exact also where x is small."""
    x = floats(x)
    u = x.data
    return Tensor(np.log1p(u), (x,), lambda dy: (dy / (1 + u),))


def sin(x: Tensor) -> Tensor:
    """Sine; x in radians."""
    x = floats(x)
    u = x.data
    return Tensor(np.sin(u), (x,), lambda dy: (dy * np.cos(u),))


def cos(x: Tensor) -> Tensor:
    """Cosine; x in radians."""
    x = floats(x)
    u = x.data
    return Tensor(np.cos(u), (x,), lambda dy: (-dy * np.sin(u),))


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    x = floats(x)
    y = np.tanh(x.data)
    # y = tanh x   =>   dy/dx = 1 - y^2
    return Tensor(y, (x,), lambda dy: (dy * (1 - y * y),))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), written with tanh so that nothing overflows."""
    x = floats(x)
    y = _sigmoid(x.data)
    return Tensor(y, (x,), lambda dy: (dy * y * (1 - y),))


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x), also called swish.  (Before a product use linear(..., activation="silu").)"""
    x = floats(x)
    u = x.data
    s = _sigmoid(u)
    return Tensor(u * s, (x,), lambda dy: (dy * s * (1 + u * (1 - s)),))


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), which is x for large x and never overflows."""
    x = floats(x)
    u = x.data
    y = np.logaddexp(u, u.dtype.type(0))
    return Tensor(y, (x,), lambda dy: (dy * _sigmoid(u),))


def _sigmoid(u: np.ndarray) -> np.ndarray:
    half = u.dtype.type(0.5)  # typed: in NumPy 1 a 0-d array would follow Python's number
    return half + half * np.tanh(half * u)


def square(x: Tensor) -> Tensor:
    """x^2."""
    u = x.data
    return Tensor(np.square(u), (x,), lambda dy: (2 * dy * u,))


def sqrt(x: Tensor) -> Tensor:
    """Square root; its derivative at 0 is infinite."""
    x = floats(x)
    y = np.sqrt(x.data)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (dy / (2 * y),)

    return Tensor(y, (x,), backward)


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    x = floats(x)
    u = x.data
    y = np.reciprocal(np.sqrt(u))
    # y = u^(-1/2)   =>   dy/du = -y / 2u
    return Tensor(y, (x,), lambda dy: (-0.5 * dy * y / u,))


def reciprocal(x: Tensor) -> Tensor:
    """1 / x."""
    x = floats(x)
    y = np.reciprocal(x.data)
    return Tensor(y, (x,), lambda dy: (-dy * y * y,))


def abs(x: Tensor) -> Tensor:
    """|x|; the derivative at 0 is taken as 0, the middle of [-1, 1]."""
    sign = np.sign(x.data)
    return Tensor(np.abs(x.data), (x,), lambda dy: (dy * sign,))


def relu(x: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is taken as 0."""
    positive = x.data > 0
    return Tensor(np.maximum(x.data, x.data.dtype.type(0)), (x,), lambda dy: (dy * positive,))


def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to [low, high]; None is no limit.  The derivative is 1 within, ends included.

    Limits are numbers; for tensors of limits use maximum and minimum.
    """
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise TypeError("clip: limits are numbers; with tensors write minimum(maximum(x, a), b)")
    y = np.clip(x.data, low, high)
    if x.data.dtype in FLOATS:
        y = y.astype(x.data.dtype, copy=False)
    inside = y == x.data
    return Tensor(y, (x,), lambda dy: (dy * inside,))


def clone(x: Tensor) -> Tensor:
    """A copy that gradients pass through."""
    return Tensor(x.data.copy(), (x,), lambda dy: (dy,))


def astype(x: Tensor, dtype: DTypeLike) -> Tensor:
    """x in another dtype; float32 and float64 pass gradients, cast back."""
    before, after = x.data.dtype, np.dtype(dtype)
    y = x.data.astype(after, copy=False)
    if after not in FLOATS:
        return Tensor(y)
    return Tensor(y, (x,), lambda dy: (dy.astype(before),))
