"""Operations without a gradient: answers that are booleans or indices, and steps.

Booleans and indices start no graph: what is returned requires no grad. The derivative of a step
(sign, floor, ...) is 0 wherever there is one, and 0 is the gradient that it hands on.
"""

from __future__ import annotations

import numpy as np

from minigrad.tensor import Axis, Operand, Tensor, plain


def eq(a: Operand, b: Operand) -> Tensor:
    """a == b, element by element."""
    return Tensor(np.equal(plain(a), plain(b)))


def ne(a: Operand, b: Operand) -> Tensor:
    """a != b, element by element."""
    return Tensor(np.not_equal(plain(a), plain(b)))


def lt(a: Operand, b: Operand) -> Tensor:
    """a < b, element by element."""
    return Tensor(np.less(plain(a), plain(b)))


def le(a: Operand, b: Operand) -> Tensor:
    """a <= b, element by element."""
    return Tensor(np.less_equal(plain(a), plain(b)))


def gt(a: Operand, b: Operand) -> Tensor:
    """a > b, element by element."""
    return Tensor(np.greater(plain(a), plain(b)))


def ge(a: Operand, b: Operand) -> Tensor:
    """a >= b, element by element."""
    return Tensor(np.greater_equal(plain(a), plain(b)))


def logical_and(a: Operand, b: Operand) -> Tensor:
    """a & b for booleans; bit by bit for integers."""
    return Tensor(np.bitwise_and(plain(a), plain(b)))


def logical_or(a: Operand, b: Operand) -> Tensor:
    """a | b for booleans; bit by bit for integers."""
    return Tensor(np.bitwise_or(plain(a), plain(b)))


def logical_xor(a: Operand, b: Operand) -> Tensor:
    """a ^ b for booleans; bit by bit for integers."""
    return Tensor(np.bitwise_xor(plain(a), plain(b)))


def logical_not(x: Tensor) -> Tensor:
    """~x for booleans; bit by bit for integers."""
    return Tensor(np.invert(x.data))


def isnan(x: Tensor) -> Tensor:
    """Where x is not a number."""
    return Tensor(np.isnan(x.data))


def isinf(x: Tensor) -> Tensor:
    """Where x is inf or -inf."""
    return Tensor(np.isinf(x.data))


def isfinite(x: Tensor) -> Tensor:
    """Where x is a number and not infinite."""
    return Tensor(np.isfinite(x.data))


def all(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over `axis` is true (not 0)."""
    return Tensor(np.all(x.data, axis=_tuple(axis), keepdims=keepdims))


def any(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether some element over `axis` is true (not 0)."""
    return Tensor(np.any(x.data, axis=_tuple(axis), keepdims=keepdims))


def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element over `axis`, of all elements in C order if None."""
    return Tensor(np.argmax(x.data, axis=axis, keepdims=keepdims))


def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element over `axis`, of all elements in C order if None."""
    return Tensor(np.argmin(x.data, axis=axis, keepdims=keepdims))


def argsort(x: Tensor, axis: int = -1, descending: bool = False) -> Tensor:
    """Indices that sort x along an axis; equal elements stay in their order."""
    u = x.data.astype(np.float64) if x.data.dtype == bool else x.data
    return Tensor(np.argsort(-u if descending else u, axis=axis, kind="stable"))


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1."""
    return _step(x, np.sign)


def floor(x: Tensor) -> Tensor:
    """The largest whole number not above x."""
    return _step(x, np.floor)


def ceil(x: Tensor) -> Tensor:
    """The smallest whole number not below x."""
    return _step(x, np.ceil)


def round(x: Tensor) -> Tensor:
    """The nearest whole number, halves to the even one."""
    return _step(x, np.rint)


def _step(x: Tensor, ufunc: np.ufunc) -> Tensor:
    """A function whose derivative is 0; integers stay integers."""
    y = ufunc(x.data).astype(x.data.dtype, copy=False)
    return Tensor(y, (x,), lambda dy: (np.zeros_like(dy),))


def floor_divide(a: Operand, b: Operand) -> Tensor:
    """floor(a / b)."""
    return Tensor(np.floor_divide(plain(a), plain(b)))


def one_hot(ids: Operand, num_classes: int) -> Tensor:
    """float32 (*ids.shape, num_classes) with a 1 at each id.  ids: integers, any shape."""
    return Tensor(np.eye(num_classes, dtype=np.float32)[plain(ids)])


def equal(a: Operand, b: Operand) -> bool:
    """Whether both have one shape and the same elements."""
    return bool(np.array_equal(plain(a), plain(b)))


def allclose(a: Operand, b: Operand, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether |a - b| <= atol + rtol |b| everywhere."""
    return bool(np.allclose(plain(a), plain(b), rtol, atol))


def _tuple(axis: Axis) -> int | tuple[int, ...] | None:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)
