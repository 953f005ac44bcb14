"""Functions of one array, element by element."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minigrad.tensor import FLOATS, Tensor


def exp(x: Tensor) -> Tensor:
    """e^x."""
    y = np.exp(x.data)
    return Tensor(y, (x,), lambda dy: (dy * y,))


def log(x: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0 and nan below, with NumPy's warning."""
    u = x.data
    return Tensor(np.log(u), (x,), lambda dy: (dy / u,))


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    y = np.tanh(x.data)
    # y = tanh x   =>   dy/dx = 1 - y^2
    return Tensor(y, (x,), lambda dy: (dy * (1 - y * y),))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), written with tanh so that nothing overflows."""
    y = 0.5 * (1 + np.tanh(0.5 * x.data))
    return Tensor(y, (x,), lambda dy: (dy * y * (1 - y),))


def sqrt(x: Tensor) -> Tensor:
    """Square root; its derivative at 0 is infinite."""
    y = np.sqrt(x.data)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (dy / (2 * y),)

    return Tensor(y, (x,), backward)


def abs(x: Tensor) -> Tensor:
    """|x|; the derivative at 0 is taken as 0, the middle of [-1, 1]."""
    sign = np.sign(x.data)
    return Tensor(np.abs(x.data), (x,), lambda dy: (dy * sign,))


def relu(x: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is taken as 0."""
    positive = x.data > 0
    return Tensor(np.maximum(x.data, 0), (x,), lambda dy: (dy * positive,))


def clip(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to [low, high]; None is no limit.  The derivative is 1 within, ends included."""
    y = np.clip(x.data, low, high)
    inside = y == x.data
    return Tensor(y, (x,), lambda dy: (dy * inside,))


def astype(x: Tensor, dtype: DTypeLike) -> Tensor:
    """x in another dtype; float32 and float64 pass gradients, cast back."""
    before, after = x.data.dtype, np.dtype(dtype)
    y = x.data.astype(after, copy=False)
    if after not in FLOATS:
        return Tensor(y)
    return Tensor(y, (x,), lambda dy: (dy.astype(before),))
