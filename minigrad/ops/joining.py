"""Cutting tensors apart along an axis, and joining them: what one does is the other's backward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.engine import Gradient
from minigrad.tensor import Tensor


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors one after another along an existing axis."""
    tensors = tuple(tensors)
    try:
        y = np.concatenate([t.data for t in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ValueError(f"concatenate: shapes {shapes} do not fit along axis {axis}") from None
    ends = np.cumsum([t.data.shape[axis] for t in tensors])[:-1]
    return Tensor(y, tensors, lambda dy: np.split(dy, ends, axis=axis))


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    tensors = tuple(tensors)
    try:
        y = np.stack([t.data for t in tensors], axis=axis)
    except ValueError:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ValueError(f"stack: shapes differ: {shapes}") from None
    return Tensor(y, tensors, lambda dy: list(np.moveaxis(dy, axis, 0)))


def split(x: Tensor, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Parts along an axis: `sections` equal ones, or parts of the sizes listed."""
    length = x.data.shape[axis]
    sizes = [length // sections] * sections if isinstance(sections, int) else list(sections)
    if sum(sizes) != length:
        raise ValueError(f"split: axis {axis} of {x.shape} has length {length}, not {sum(sizes)}")
    parts = np.split(x.data, np.cumsum(sizes)[:-1], axis=axis)
    shapes, dtype = [part.shape for part in parts], x.data.dtype

    def backward(*dys: Gradient) -> tuple[np.ndarray, ...]:
        filled = [np.zeros(s, dtype) if d is None else d for d, s in zip(dys, shapes, strict=True)]
        return (np.concatenate(filled, axis),)

    return Tensor.multi(parts, (x,), backward)


def chunk(x: Tensor, sections: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most `sections` parts of one length along an axis; the last may be shorter."""
    length = x.data.shape[axis]
    if sections < 1:
        raise ValueError(f"chunk: into {sections} parts? give 1 or more")
    size = max(-(-length // sections), 1)
    sizes = [min(size, length - start) for start in range(0, length, size)]
    return split(x, sizes or [0], axis)


def unbind(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    parts = np.moveaxis(x.data, axis, 0)
    shape, dtype = parts.shape[1:], x.data.dtype

    def backward(*dys: Gradient) -> tuple[np.ndarray, ...]:
        return (np.stack([np.zeros(shape, dtype) if d is None else d for d in dys], axis),)

    return Tensor.multi([np.asarray(part) for part in parts], (x,), backward)
