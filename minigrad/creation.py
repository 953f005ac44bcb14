"""New tensors from a shape: zeros, ranges, random numbers.

    zeros(2, 3)   zeros((2, 3))   rand(2, 3, rng=0)   arange(5)   full((2,), 7.0)

float32 unless a dtype is given (arange of integers: int64). Random numbers come from a seed or a
numpy Generator; there is no global seed, so that what a program draws stands in the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.tensor import Tensor

Random = int | np.random.Generator  # a seed, or a Generator that goes on


def zeros(*shape: Any, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """Zeros."""
    return Tensor(np.zeros(_shape(shape), dtype), requires_grad=requires_grad)


def ones(*shape: Any, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """Ones."""
    return Tensor(np.ones(_shape(shape), dtype), requires_grad=requires_grad)


def full(
    shape: int | Sequence[int], value: float, dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Everywhere `value`; float32, or int64 and bool after the value's own type."""
    kind = dtype or {bool: np.bool_, int: np.int64}.get(type(value), np.float32)
    return Tensor(np.full(_shape((shape,)), value, kind), requires_grad=requires_grad)


def zeros_like(x: Tensor, requires_grad: bool = False) -> Tensor:
    """Zeros of x's shape and dtype."""
    return Tensor(np.zeros(x.shape, x.dtype), requires_grad=requires_grad)


def ones_like(x: Tensor, requires_grad: bool = False) -> Tensor:
    """Ones of x's shape and dtype."""
    return Tensor(np.ones(x.shape, x.dtype), requires_grad=requires_grad)


def full_like(x: Tensor, value: float, requires_grad: bool = False) -> Tensor:
    """Everywhere `value`, of x's shape and dtype."""
    return Tensor(np.full(x.shape, value, x.dtype), requires_grad=requires_grad)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below stop; from 0 if one number is given."""
    first, last = (0, start) if stop is None else (start, stop)
    whole = all(isinstance(n, (int, np.integer)) for n in (first, last, step))
    values = np.arange(first, last, step).astype(dtype or (np.int64 if whole else np.float32))
    return Tensor(values, requires_grad=requires_grad)


def linspace(
    start: float, stop: float, steps: int, dtype: DTypeLike = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances from start to stop, both included."""
    return Tensor(np.linspace(start, stop, steps).astype(dtype), requires_grad=requires_grad)


def eye(
    rows: int, columns: int | None = None, dtype: DTypeLike = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal of a matrix of zeros."""
    return Tensor(np.eye(rows, columns, dtype=dtype), requires_grad=requires_grad)


def rand(*shape: Any, rng: Random, requires_grad: bool = False) -> Tensor:
    """float32 draws from U[0, 1)."""
    values = np.random.default_rng(rng).random(_shape(shape), dtype=np.float32)
    return Tensor(values, requires_grad=requires_grad)


def randn(*shape: Any, rng: Random, requires_grad: bool = False) -> Tensor:
    """float32 draws from N(0, 1)."""
    values = np.random.default_rng(rng).standard_normal(_shape(shape), dtype=np.float32)
    return Tensor(np.asarray(values), requires_grad=requires_grad)


def randint(low: int, high: int, shape: Sequence[int], rng: Random) -> Tensor:
    """int64 draws from low to high - 1."""
    return Tensor(np.random.default_rng(rng).integers(low, high, tuple(shape)))


def randperm(n: int, rng: Random) -> Tensor:
    """0 to n - 1 in a random order, int64."""
    return Tensor(np.random.default_rng(rng).permutation(n))


def _shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes, given one by one or as one sequence."""
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
        return tuple(shape[0])
    return shape
