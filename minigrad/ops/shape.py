"""Rearranging: the elements stay the same, so the backward puts the gradient back in place.

reshape (where NumPy can), permute, swapaxes, split and slices are views: no copy in either
direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.engine import Gradient
from minigrad.tensor import Tensor, _plain


def reshape(x: Tensor, shape: int | Sequence[int]) -> Tensor:
    """The same elements in C order under another shape; one entry may be -1."""
    before = x.data.shape
    try:
        y = x.data.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {before} has {x.size} elements, not those of {shape}") from None
    return Tensor(y, (x,), lambda dy: (dy.reshape(before),))


def permute(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Axis i of the result is axis axes[i] of x (PyTorch's permute, NumPy's transpose)."""
    y = x.data.transpose(axes)
    back = np.argsort([axis % x.data.ndim for axis in axes])
    return Tensor(y, (x,), lambda dy: (dy.transpose(back),))


def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    return Tensor(x.data.swapaxes(axis1, axis2), (x,), lambda dy: (dy.swapaxes(axis1, axis2),))


transpose = swapaxes  # PyTorch's name for it


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x repeated along new axes and axes of length 1; the engine sums the gradient."""
    try:
        y = np.broadcast_to(x.data, shape)
    except ValueError:
        raise ValueError(f"broadcast_to: {x.shape} does not broadcast to {shape}") from None
    return Tensor(y, (x,), lambda dy: (dy,))


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors one after another along an existing axis."""
    try:
        y = np.concatenate([t.data for t in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ValueError(f"concatenate: shapes {shapes} do not fit along axis {axis}") from None
    ends = np.cumsum([t.data.shape[axis] for t in tensors])[:-1]
    return Tensor(y, tuple(tensors), lambda dy: np.split(dy, ends, axis=axis))


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    try:
        y = np.stack([t.data for t in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ValueError(f"stack: shapes differ: {shapes}") from None
    return Tensor(y, tuple(tensors), lambda dy: list(np.moveaxis(dy, axis, 0)))


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Parts along an axis: `sections` equal ones, or parts of the sizes listed."""
    length = x.data.shape[axis]
    sizes = [length // sections] * sections if isinstance(sections, int) else list(sections)
    if sum(sizes) != length:
        raise ValueError(f"split: axis {axis} of {x.shape} has length {length}, not {sum(sizes)}")
    parts = np.split(x.data, np.cumsum(sizes)[:-1], axis=axis)

    def backward(*dys: Gradient) -> tuple[np.ndarray, ...]:
        zeros = (np.zeros(part.shape, part.dtype) for part in parts)
        return (
            np.concatenate([z if d is None else d for d, z in zip(dys, zeros, strict=True)], axis),
        )

    return Tensor.multi(parts, (x,), backward)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] by integers, slices, None, ..., integer arrays or a boolean mask.

    An element picked several times by an integer array gets the sum of the gradients.
    """
    index = _plain(index)
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
