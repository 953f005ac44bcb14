"""Arithmetic between two operands that broadcast, as in NumPy.

Each backward below is written as if both operands had the full shape: the engine sums a gradient
over the axes along which its parent was repeated (engine.unbroadcast).
"""

from __future__ import annotations

import numpy as np

from minigrad.engine import Gradient
from minigrad.tensor import FLOATS, Operand, Tensor, plain


def operands(op: str, a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Both as Tensors of one dtype.

    Numbers and integer arrays take the other's floating dtype; two different floating dtypes are
    a TypeError, because a hidden cast is a hidden copy.
    """
    if not isinstance(a, Tensor):
        a = _like(a, b)
    if not isinstance(b, Tensor):
        b = _like(b, a)
    if a.data.dtype is not b.data.dtype and a.data.dtype != b.data.dtype:
        if a.data.dtype in FLOATS and b.data.dtype in FLOATS:
            raise TypeError(
                f"{op}: {a.dtype} and {b.dtype} do not mix; cast one of them with astype()"
            )
        if a.data.dtype in FLOATS:
            b = Tensor(b.data.astype(a.dtype))
        elif b.data.dtype in FLOATS:
            a = Tensor(a.data.astype(b.dtype))
    return a, b


def _like(x: Operand, other: Tensor) -> Tensor:
    """A number (Python's or NumPy's) in the other operand's floating dtype; arrays as they are."""
    if isinstance(x, (int, float, np.generic)) and other.data.dtype in FLOATS:
        return Tensor(np.asarray(x, dtype=other.data.dtype))
    return Tensor(x)


def apply(op: str, ufunc: np.ufunc, a: Tensor, b: Tensor) -> np.ndarray:
    """ufunc(a, b); shapes that do not broadcast are a ValueError naming both."""
    try:
        y = ufunc(a.data, b.data)
    except ValueError:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast") from None
    return y if type(y) is np.ndarray else np.asarray(y)


def add(a: Operand, b: Operand) -> Tensor:
    """a + b."""
    a, b = operands("add", a, b)
    return Tensor(apply("add", np.add, a, b), (a, b), lambda dy: (dy, dy))


def sub(a: Operand, b: Operand) -> Tensor:
    """a - b."""
    a, b = operands("sub", a, b)
    return Tensor(apply("sub", np.subtract, a, b), (a, b), lambda dy: (dy, -dy))


def mul(a: Operand, b: Operand) -> Tensor:
    """a * b, element by element."""
    a, b = operands("mul", a, b)
    u, v = a.data, b.data
    return Tensor(apply("mul", np.multiply, a, b), (a, b), lambda dy: (dy * v, dy * u))


def div(a: Operand, b: Operand) -> Tensor:
    """a / b, element by element; integers divide to float32."""
    a, b = operands("div", a, b)
    u, v = a.data, b.data
    y = apply("div", np.true_divide, a, b)
    if a.data.dtype not in FLOATS:
        return Tensor(y.astype(np.float32))

    # y = u / v   =>   dy/du = 1 / v,   dy/dv = -u / v^2
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        du = dy / v
        return du, -du * (u / v)

    return Tensor(y, (a, b), backward)


def pow(a: Operand, b: Operand) -> Tensor:
    """a ** b; a must be positive where b's gradient is wanted (it is y log a)."""
    a, b = operands("pow", a, b)
    u, v = a.data, b.data
    y = apply("pow", np.power, a, b)
    with_base, with_exponent = a.requires_grad, b.requires_grad

    # y = u^v   =>   dy/du = v u^(v - 1),   dy/dv = u^v log u (its limit where u = 0 and v >= 0: 0)
    def backward(dy: np.ndarray) -> tuple[Gradient, ...]:
        du = dv = None
        if with_base:
            du = dy * np.where(v == 0, 0, v * np.power(u, np.where(v == 0, 1, v - 1)))
        if with_exponent:
            with np.errstate(divide="ignore"):  # 0 to a negative power: inf, and so is its slope
                dv = dy * y * np.log(np.where((u == 0) & (v >= 0), u.dtype.type(1), u))
        return du, dv

    return Tensor(y, (a, b), backward)


def remainder(a: Operand, b: Operand) -> Tensor:
    """a % b = a - floor(a / b) b: of the divisor's sign, as in Python."""
    a, b = operands("remainder", a, b)
    u, v = a.data, b.data
    y = apply("remainder", np.remainder, a, b)

    # floor(u / v) only jumps, and between two jumps it is a constant.
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return dy, -dy * np.floor_divide(u, v)

    return Tensor(y, (a, b), backward)


def neg(a: Tensor) -> Tensor:
    """-a."""
    return Tensor(np.negative(a.data), (a,), lambda dy: (-dy,))


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where condition holds, else b; all three broadcast.  condition: bool, no gradient."""
    a, b = operands("where", a, b)
    mask = np.array(plain(condition), dtype=bool)  # a copy: the caller may change his
    try:
        y = np.where(mask, a.data, b.data)
    except ValueError:
        raise ValueError(
            f"where: shapes {mask.shape}, {a.shape} and {b.shape} do not broadcast"
        ) from None
    zero = y.dtype.type(0)
    return Tensor(y, (a, b), lambda dy: (np.where(mask, dy, zero), np.where(mask, zero, dy)))


def masked_fill(x: Tensor, mask: Operand, value: float) -> Tensor:
    """x with `value` wherever mask holds (PyTorch's masked_fill)."""
    return where(mask, value, x)


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of a and b; where they tie, each gets half the gradient."""
    a, b = operands("maximum", a, b)
    u, v = a.data, b.data
    y = apply("maximum", np.maximum, a, b)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        share = np.where(u == v, 0.5, u > v).astype(dy.dtype)
        return dy * share, dy * (1 - share)

    return Tensor(y, (a, b), backward)


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of a and b; where they tie, each gets half the gradient."""
    a, b = operands("minimum", a, b)
    u, v = a.data, b.data
    y = apply("minimum", np.minimum, a, b)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        share = np.where(u == v, 0.5, u < v).astype(dy.dtype)
        return dy * share, dy * (1 - share)

    return Tensor(y, (a, b), backward)
