"""Reductions over one axis, several, or all (axis=None)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.tensor import Axis, Tensor


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`."""
    shape = x.data.shape
    y = np.asarray(x.data.sum(axis=axis, keepdims=keepdims))

    # Each element is counted once: its gradient is dy of the group it went to.
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.broadcast_to(_keepdims(dy, axis, keepdims, shape), shape),)

    return Tensor(y, (x,), backward)


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`."""
    shape = x.data.shape
    y = np.asarray(x.data.mean(axis=axis, keepdims=keepdims))
    count = x.data.dtype.type(x.data.size // y.size if y.size else 1)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.broadcast_to(_keepdims(dy, axis, keepdims, shape) / count, shape),)

    return Tensor(y, (x,), backward)


def var(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance over `axis`, dividing by the count less ddof (0, as the norms do; PyTorch's 1)."""
    u = x.data
    y = np.asarray(u.var(axis=axis, keepdims=keepdims, ddof=ddof))
    factor = u.dtype.type(2 / ((u.size // y.size if y.size else 1) - ddof))

    # y = sum (u - m)^2 / n   =>   dy/du = 2 (u - m) / n; the mean's own part sums to zero
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        centred = u - u.mean(axis=axis, keepdims=True)
        return (_keepdims(dy, axis, keepdims, u.shape) * centred * factor,)

    return Tensor(y, (x,), backward)


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over `axis`; elements that tie share the gradient equally."""
    return _extreme(x, np.max, axis, keepdims)


def min(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis`; elements that tie share the gradient equally."""
    return _extreme(x, np.min, axis, keepdims)


def _extreme(x: Tensor, reduce: Callable[..., np.ndarray], axis: Axis, keepdims: bool) -> Tensor:
    u = x.data
    top = reduce(u, axis=axis, keepdims=True)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        chosen = (u == top).astype(u.dtype)
        share = chosen / chosen.sum(axis=axis, keepdims=True)
        return (_keepdims(dy, axis, keepdims, u.shape) * share,)

    y = top if keepdims else np.asarray(top.squeeze(axis))
    return Tensor(y, (x,), backward)


def _keepdims(dy: np.ndarray, axis: Axis, keepdims: bool, shape: tuple[int, ...]) -> np.ndarray:
    """dy with the reduced axes put back as axes of length 1."""
    if keepdims:
        return dy
    if axis is None:
        return dy.reshape((1,) * len(shape))
    return np.expand_dims(dy, axis)
