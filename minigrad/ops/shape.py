"""Rearranging: the elements stay the same, so the backward puts the gradient back in place.

reshape (where NumPy can), permute, swapaxes, and what is made of them are views: no copy in either
direction. Cutting and joining: joining.py.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.tensor import Operand, Tensor, plain


def reshape(x: Tensor, shape: int | Sequence[int]) -> Tensor:
    """The same elements in C order under another shape; one entry may be -1."""
    before = x.data.shape
    try:
        y = x.data.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {before} has {x.size} elements, not those of {shape}") from None
    return Tensor(y, (x,), lambda dy: (dy.reshape(before),))


def flatten(x: Tensor, start: int = 0, end: int = -1) -> Tensor:
    """The axes from start to end, both included, as one.  A 0-d tensor becomes (1,)."""
    shape = x.data.shape or (1,)
    first, last = _axis("flatten", start, len(shape)), _axis("flatten", end, len(shape))
    if last < first:
        raise ValueError(f"flatten: end {end} comes before start {start} in shape {x.shape}")
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """Without the axes of length 1: all of them, or those of `axis` that have it."""
    shape = x.data.shape
    asked = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    gone = {_axis("squeeze", a, len(shape) or 1) for a in asked}
    return reshape(x, tuple([n for i, n in enumerate(shape) if not (n == 1 and i in gone)]))


def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """With a new axis of length 1, which will have the number `axis`."""
    at = _axis("unsqueeze", axis, x.data.ndim + 1)
    return reshape(x, (*x.data.shape[:at], 1, *x.data.shape[at:]))


def permute(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """Axis i of the result is axis axes[i] of x (PyTorch's permute, NumPy's transpose)."""
    axes = (axes,) if isinstance(axes, int) else axes
    y = x.data.transpose(axes)
    back = np.argsort([axis % x.data.ndim for axis in axes])
    return Tensor(y, (x,), lambda dy: (dy.transpose(back),))


def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    return Tensor(x.data.swapaxes(axis1, axis2), (x,), lambda dy: (dy.swapaxes(axis1, axis2),))


transpose = swapaxes  # PyTorch's name for it


def t(x: Tensor) -> Tensor:
    """The transpose of a matrix; a vector or a number as it is."""
    if x.ndim > 2:
        raise ValueError(f"t: a tensor of shape {x.shape} is no matrix; use swapaxes(-1, -2)")
    return swapaxes(x, 0, 1) if x.ndim == 2 else x


def broadcast_to(x: Tensor, shape: int | Sequence[int]) -> Tensor:
    """x repeated along new axes and axes of length 1; -1 keeps a length.

    The result is a view of x; the engine sums the gradient.
    """
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    new = len(wanted) - x.data.ndim  # how many axes come before x's own
    full = [x.data.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(wanted)]
    try:
        y = np.broadcast_to(x.data, full)
    except ValueError:
        raise ValueError(f"broadcast_to: {x.shape} does not broadcast to {wanted}") from None
    return Tensor(y, (x,), lambda dy: (dy,))


def tile(x: Tensor, repeats: int | Sequence[int]) -> Tensor:
    """x laid repeats[i] times along axis i (PyTorch's repeat, NumPy's tile).

    More repeats than axes: x first gets leading axes of length 1.
    """
    counts = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    counts = (1,) * (x.data.ndim - len(counts)) + counts
    before = (1,) * (len(counts) - x.data.ndim) + x.data.shape
    apart = tuple([n for pair in zip(counts, before, strict=True) for n in pair])
    copies = tuple(range(0, 2 * len(counts), 2))
    shape = x.data.shape

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (dy.reshape(apart).sum(axis=copies).reshape(shape),)

    return Tensor(np.tile(x.data, counts), (x,), backward)


def flip(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """The order along the axes reversed."""
    axes = axes if isinstance(axes, int) else tuple(axes)
    return Tensor(np.flip(x.data, axes), (x,), lambda dy: (np.flip(dy, axes),))


def tril(x: Tensor, k: int = 0) -> Tensor:
    """The lower triangle of the last two axes, from the k-th diagonal down; the rest is 0."""
    return _triangle("tril", np.tril, x, k)


def triu(x: Tensor, k: int = 0) -> Tensor:
    """The upper triangle of the last two axes, from the k-th diagonal up; the rest is 0."""
    return _triangle("triu", np.triu, x, k)


def _triangle(name: str, cut: Callable[..., np.ndarray], x: Tensor, k: int) -> Tensor:
    if x.ndim < 2:
        raise ValueError(f"{name}: a tensor of shape {x.shape} has no triangle; it needs two axes")
    return Tensor(cut(x.data, k), (x,), lambda dy: (cut(dy, k),))


def pad(x: Tensor, widths: Sequence[int], value: float = 0.0) -> Tensor:
    """x with `value` around it.

    widths: before and after, of the last axis, then of the last but one, ... (PyTorch's order).
    """
    flat = list(widths)
    if len(flat) % 2 or len(flat) > 2 * x.ndim or not builtins.all(
        isinstance(n, int) and n >= 0 for n in flat
    ):
        raise ValueError(
            f"pad: {widths} must be lengths (before, after) of the last axis, then of the one "
            f"before it, ..., at most {x.ndim} pairs"
        )
    pairs = [(0, 0)] * (x.ndim - len(flat) // 2)
    pairs += [(flat[i], flat[i + 1]) for i in range(len(flat) - 2, -1, -2)]
    inner = tuple([slice(a, a + n) for (a, _), n in zip(pairs, x.data.shape, strict=True)])
    return Tensor(np.pad(x.data, pairs, constant_values=value), (x,), lambda dy: (dy[inner],))


def gather(x: Tensor, axis: int, index: Operand) -> Tensor:
    """y[i, j, k] = x[i, index[i, j, k], k] for axis 1, and so on for another.

    index: integers, as many axes as x; other axes no longer than x's.  (NumPy: take_along_axis.)
    An element picked several times gets the sum of the gradients.
    """
    picked = np.array(plain(index))  # a copy: the caller may change his
    at = _axis("gather", axis, x.ndim)
    if picked.ndim != x.ndim or picked.dtype.kind not in "iu":
        raise ValueError(f"gather: index {picked.shape} {picked.dtype} must be integers with the "
                         f"{x.ndim} axes of x {x.shape}")
    places: list[np.ndarray] = list(np.indices(picked.shape, sparse=True))
    places[at] = picked
    return getitem(x, tuple(places))


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] by integers, slices, None, ..., integer arrays or a boolean mask.

    An element picked several times by an integer array gets the sum of the gradients.
    """
    index = _kept_index(plain(index))
    shape, dtype = x.data.shape, x.data.dtype
    parts = index if isinstance(index, tuple) else (index,)
    basic = all(isinstance(p, (int, np.integer, slice, type(None), type(...))) for p in parts)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        dx = np.zeros(shape, dtype)
        if basic:
            dx[index] = dy
        else:
            np.add.at(dx, index, dy)
        return (dx,)

    return Tensor(np.asarray(x.data[index]), (x,), backward)


def _kept_index(index: Any) -> Any:
    """The index as backward will need it: arrays copied, for the caller may change his."""
    if isinstance(index, tuple):
        return tuple([_kept_index(part) for part in index])
    return np.array(index) if isinstance(index, (np.ndarray, list)) else index


def _axis(op: str, axis: int, ndim: int) -> int:
    """An axis counted from 0.  Raises IndexError if there is no such axis."""
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim, op)
    return axis % ndim
