"""Reductions over one axis, several, or all (axis=None); and cumsum, which keeps the shape."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad.tensor import Axis, Tensor, floats

Axes = tuple[int, ...]


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`."""
    shape, (axes, kept) = x.data.shape, _over(x, axis)
    y = np.asarray(x.data.sum(axis=axes, keepdims=keepdims))
    # Each element is counted once: its gradient is dy of the group it went to.
    return Tensor(y, (x,), lambda dy: (np.broadcast_to(dy.reshape(kept), shape),))


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`; of integers in float32."""
    x = floats(x)
    shape, (axes, kept) = x.data.shape, _over(x, axis)
    y = np.asarray(x.data.mean(axis=axes, keepdims=keepdims))
    count = x.data.dtype.type(_count(shape, axes))
    return Tensor(y, (x,), lambda dy: (np.broadcast_to(dy.reshape(kept) / count, shape),))


def var(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance over `axis`, dividing by the count less ddof (0, as the norms do; PyTorch's 1).

    nan, with NumPy's warning, where nothing is left to divide by.
    """
    x = floats(x)
    u, (axes, kept) = x.data, _over(x, axis)
    y = np.asarray(u.var(axis=axes, keepdims=keepdims, ddof=ddof))
    degrees = _count(u.shape, axes) - ddof
    factor = u.dtype.type(2 / degrees if degrees > 0 else math.nan)

    # y = sum (u - m)^2 / n   =>   dy/du = 2 (u - m) / n; the mean's own part sums to zero
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        centred = u - u.mean(axis=axes, keepdims=True)
        return (dy.reshape(kept) * centred * factor,)

    return Tensor(y, (x,), backward)


def std(x: Tensor, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Standard deviation over `axis`, the root of `var`; its derivative at 0 is taken as 0."""
    x = floats(x)
    u, (axes, kept) = x.data, _over(x, axis)
    y = np.asarray(u.std(axis=axes, keepdims=keepdims, ddof=ddof))
    degrees = _count(u.shape, axes) - ddof

    # y^2 = v   =>   dy/du = dv/du / 2y = (u - m) / (n y)
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        centred = u - u.mean(axis=axes, keepdims=True)
        return (dy.reshape(kept) * _ratio(centred, degrees * y.reshape(kept)),)

    return Tensor(y, (x,), backward)


def norm(x: Tensor, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """(sum |x|^ord)^(1 / ord) over `axis`; the largest |x| for ord = inf.

    ord: above 0.  The derivative is taken as 0 where the norm is 0.
    """
    x = floats(x)
    if not isinstance(ord, (int, float)) or not ord > 0:
        raise ValueError(f"norm: ord must be a number above 0, not {ord!r}")
    if ord == math.inf:
        return _extreme(x, np.abs(x.data), np.sign(x.data), np.max, axis, keepdims)
    u, (axes, kept) = x.data, _over(x, axis)
    size = np.abs(u)
    total = (size * size if ord == 2 else size**ord).sum(axis=axes, keepdims=True)
    y = np.sqrt(total) if ord == 2 else total ** (1 / ord)

    # y = (sum |u|^p)^(1/p)   =>   dy/du = sign(u) (|u| / y)^(p - 1)
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        share = _ratio(size, y)
        return (dy.reshape(kept) * np.sign(u) * (share if ord == 2 else share ** (ord - 1)),)

    return Tensor(y if keepdims else y.reshape(_without(u.shape, axes)), (x,), backward)


def prod(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over `axis`."""
    u, (axes, kept) = x.data, _over(x, axis)
    y = np.asarray(u.prod(axis=axes, keepdims=keepdims))

    # dy/du_i is the product of all others: of those before i times those after it, and no division,
    # so that zeros are no exception.
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        last = tuple(range(-len(axes), 0))
        moved = np.moveaxis(u, axes, last)
        flat = moved.reshape(*moved.shape[: u.ndim - len(axes)], -1)
        others = _before(flat) * _before(flat[..., ::-1])[..., ::-1]
        return (dy.reshape(kept) * np.moveaxis(others.reshape(moved.shape), last, axes),)

    return Tensor(y, (x,), backward)


def _before(u: np.ndarray) -> np.ndarray:
    """For each element along the last axis the product of those before it."""
    y = np.ones_like(u)
    np.cumprod(u[..., :-1], axis=-1, out=y[..., 1:])
    return y


def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log sum e^x over `axis`, shifted by the maximum so that nothing overflows."""
    x = floats(x)
    u, (axes, kept) = x.data, _over(x, axis)
    top = u.max(axis=axes, keepdims=True, initial=-math.inf)
    shift = np.where(np.isfinite(top), top, u.dtype.type(0))
    with np.errstate(divide="ignore"):  # all -inf: the logarithm of 0
        y = np.log(np.exp(u - shift).sum(axis=axes, keepdims=True)) + shift
    kept_y = np.where(np.isneginf(y), u.dtype.type(0), y)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (dy.reshape(kept) * np.exp(u - kept_y),)

    return Tensor(y if keepdims else y.reshape(_without(u.shape, axes)), (x,), backward)


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over `axis`; elements that tie share the gradient equally."""
    return _extreme(x, x.data, None, np.max, axis, keepdims)


def min(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis`; elements that tie share the gradient equally."""
    return _extreme(x, x.data, None, np.min, axis, keepdims)


def _extreme(
    x: Tensor, u: np.ndarray, slope: np.ndarray | None, reduce: Callable[..., np.ndarray],
    axis: Axis, keepdims: bool,
) -> Tensor:
    """The extreme of u, which is x or (with its slope) a function of x."""
    axes, kept = _over(x, axis)
    top = np.asarray(reduce(u, axis=axes, keepdims=True))

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        chosen = (u == top).astype(u.dtype)
        share = chosen / chosen.sum(axis=axes, keepdims=True)
        return (dy.reshape(kept) * (share if slope is None else share * slope),)

    return Tensor(top if keepdims else top.reshape(_without(u.shape, axes)), (x,), backward)


def cumsum(x: Tensor, axis: int) -> Tensor:
    """Along an axis, the sum of each element and all before it."""
    if x.ndim == 0:
        _over(x, axis)
        return sum(x)

    # An element is in its own sum and in all later ones: the same from behind.
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.flip(np.cumsum(np.flip(dy, axis), axis=axis), axis),)

    return Tensor(np.cumsum(x.data, axis=axis), (x,), backward)


def _over(x: Tensor, axis: Axis) -> tuple[Axes, tuple[int, ...]]:
    """(the reduced axes, the shape with each of them of length 1).

    A 0-d tensor has no axis; 0 and -1 are understood as all of it, as in PyTorch and NumPy.
    """
    shape = x.data.shape
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim)), (1,) * ndim
    kept, axes = list(shape), []
    for a in (axis,) if isinstance(axis, int) else axis:
        if not -ndim <= a < ndim and (ndim or a not in (0, -1)):
            raise np.exceptions.AxisError(a, ndim)
        if ndim:
            axes.append(a % ndim)
            kept[a] = 1
    return tuple(axes), tuple(kept)


def _without(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    """How many elements went into each result."""
    return math.prod([shape[i] for i in axes])


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, 0 where b is 0."""
    b = np.asarray(b, dtype=a.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, a.dtype.type(0), a / b)
