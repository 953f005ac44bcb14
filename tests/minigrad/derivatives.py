"""Derivatives to try a checker on: right ones that are hard to confirm, wrong ones hard to see.

Each is an operation as any framework could hold it: forward(*xs) -> (y, backward), a closure
backward(dy) -> gradients in the order of xs, on float64 arrays. `python -m bench checkers` plays
them against our checker and the public ones; test_gradcheck_derivatives.py against ours.

RIGHT and WRONG hold two dozen of each; the first twelve of both are the table in docs/gradients.md.
singularities.py draws right ones by the million.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor

Operation = Callable[..., tuple[np.ndarray, Callable[[np.ndarray], Any]]]


@dataclass(frozen=True)
class Derivative:
    """make() -> a fresh operation (some keep a state between calls), args: where it is checked."""

    name: str
    right: bool
    make: Callable[[], Operation]
    args: tuple[np.ndarray, ...]


def unary(f, slope):
    """An elementwise operation from f(x) and f'(x)."""

    def operation(x):
        def backward(dy):
            return (dy * slope(x),)

        return f(x), backward

    return lambda: operation


def simple(f, vjp):
    """An operation from f(*xs) and vjp(dy, *xs) -> gradients."""

    def operation(*xs):
        return f(*xs), lambda dy: vjp(dy, *xs)

    return lambda: operation


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_vjp(dy, x):
    y = softmax(x)
    return (y * (dy - (dy * y).sum(-1, keepdims=True)),)


def logsumexp(x):
    m = x.max(-1, keepdims=True)
    return np.log(np.exp(x - m).sum(-1)) + m[..., 0]


def norm_rows(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def norm_rows_vjp(dy, x):
    size = np.sqrt((x * x).sum(-1, keepdims=True))
    y = x / size
    return ((dy - y * (dy * y).sum(-1, keepdims=True)) / size,)


def layernorm(x):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)


def layernorm_vjp(dy, x):
    d = x - x.mean(-1, keepdims=True)
    s = np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    y = d / s
    return ((dy - dy.mean(-1, keepdims=True) - y * (dy * y).mean(-1, keepdims=True)) / s,)


def inverse_vjp(dy, a):
    y = np.linalg.inv(a)
    return (-y.T @ dy @ y.T,)


def tanh_slope(x):
    return 1 - np.tanh(x) ** 2


GELU = np.sqrt(2 / np.pi)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(GELU * (x + 0.044715 * x**3)))


def gelu_slope(x, c=GELU):
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def power(x):
    return np.abs(x) ** 1.5


RIGHT_OPERATIONS = {
    "1/x near 0": (unary(lambda x: 1 / x, lambda x: -1 / x**2), [1e-4, 1.0]),
    "a/b, b near 0": (
        simple(np.divide, lambda dy, a, b: (dy / b, -dy * a / b**2)), [2.0, 3.0], [1e-6, 1.0]
    ),
    "log(1-x) near 1": (unary(lambda x: np.log(1 - x), lambda x: -1 / (1 - x)), [0.9999, 0.5]),
    "arcsin near 1": (unary(np.arcsin, lambda x: 1 / np.sqrt(1 - x * x)), [0.99999, 0.5]),
    "tan near pi/2": (unary(np.tan, lambda x: 1 / np.cos(x) ** 2), [1.5707, 0.5]),
    "|x|^1.5, two sizes": (
        unary(power, lambda x: 1.5 * np.sign(x) * np.abs(x) ** 0.5), [1e6, 1e-6]
    ),
    "softmax, saturated": (simple(softmax, softmax_vjp), normal(5, 7, seed=13) * 1e4),
    "relu beside its kink": (unary(lambda x: np.maximum(x, 0), lambda x: x > 0), [1e-7, -1e-7, 1]),
    "exp, small beside large": (unary(np.exp, np.exp), [-40.0, 5.0, -1.0]),
    "x^2 on an offset of 1e8": (unary(lambda x: 1e8 + x * x, lambda x: 2 * x), [0.3, -2.0]),
    "rows of 1e-6, normalized": (simple(norm_rows, norm_rows_vjp), normal(3, 4) * 1e-6),
    "log at 1e-300": (unary(np.log, lambda x: 1 / x), [1e-300, 1.0, 1e300]),
    "logsumexp of large numbers": (
        simple(logsumexp, lambda dy, x: (dy[..., None] * softmax(x),)), [[1e3, 1000.5, -1e3]]
    ),
    "sqrt near 0": (unary(np.sqrt, lambda x: 0.5 / np.sqrt(x)), [1e-12, 2.0]),
    "sin of 1e4 x": (unary(lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)), [0.3, 1.1]),
    "arctanh near 1": (unary(np.arctanh, lambda x: 1 / ((1 - x) * (1 + x))), [1 - 1e-9, 0.5]),
    "x log x near 0": (unary(lambda x: x * np.log(x), lambda x: np.log(x) + 1), [1e-12, 0.5]),
    "inverse, ill-conditioned": (
        simple(np.linalg.inv, inverse_vjp), [[1.0, 2.0, 3.0], [2.0, 4.0, 6.001], [1.0, 0.0, 1.0]]
    ),
    "layer norm of a flat row": (
        simple(layernorm, layernorm_vjp), 1 + 1e-4 * normal(2, 5)
    ),
    "tanh, saturated": (unary(np.tanh, tanh_slope), [18.0, -12.0, 0.5]),
    "arccosh near 1": (unary(np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1))), [1 + 1e-9, 3]),
    "logit near 0 and 1": (
        unary(lambda x: np.log(x / (1 - x)), lambda x: 1 / (x * (1 - x))), [1e-9, 1 - 1e-6, 0.5]
    ),
    "maximum beside a tie": (
        simple(np.maximum, lambda dy, a, b: (dy * (a > b), dy * (b > a))),
        [1.0, 2.0], [1.0 + 1e-8, 1.0],
    ),
    "ten thousand tanh": (unary(np.tanh, tanh_slope), normal(10_000)),
    "x^10 at 1e3": (unary(lambda x: x**10, lambda x: 10 * x**9), [1e3, 1e-3, 1.0]),
    "matmul of unlike sizes": (
        simple(np.matmul, lambda dy, a, b: (dy @ b.T, a.T @ dy)),
        normal(3, 4) * 1e6, normal(4, 2, seed=1) * 1e-6,
    ),
    "product": (
        simple(
            lambda x: x.prod(-1), lambda dy, x: (dy[..., None] * x.prod(-1, keepdims=True) / x,)
        ),
        [[1e-8, 2.0, 3e5], [1.0, -1.0, 0.5]],
    ),
    "abs far from 0 in size": (unary(np.abs, np.sign), [1e-9, -1e9]),
}


def single(x):
    """Rounded to float32."""
    return x.astype(np.float32).astype(np.float64)


def writes_to_dy():
    def operation(x):
        y = np.tanh(x)

        def backward(dy):
            dy *= 1 - y * y
            return (dy,)

        return y, backward

    return operation


def quietly_writes_to_dy():
    """The gradient is a new array; dy is put to other use."""

    def operation(x):
        y = np.tanh(x)

        def backward(dy):
            dx = dy * (1 - y * y)
            np.multiply(dy, 0.5, out=dy)
            return (dx,)

        return y, backward

    return operation


def reads_the_last_forward():
    last = {}

    def operation(x):
        last["x"] = x
        return np.tanh(x), lambda dy: (dy * tanh_slope(last["x"]),)

    return operation


def frozen_at_the_first_call():
    first = {}

    def operation(x):
        slope = first.setdefault("slope", tanh_slope(x))
        return np.tanh(x), lambda dy: (dy * slope,)

    return operation


def another_answer_each_time():
    calls = {"n": 0}

    def operation(x):
        def backward(dy):
            calls["n"] += 1
            return (dy * tanh_slope(x) * (1 + 1e-9 * calls["n"]),)

        return np.tanh(x), backward

    return operation


def adds_to_a_buffer():
    buffer: dict[str, np.ndarray] = {}

    def operation(x):
        def backward(dy):
            total = buffer.setdefault("dx", np.zeros_like(x))
            total += dy * tanh_slope(x)
            return (total,)

        return np.tanh(x), backward

    return operation


def returns_one_buffer():
    """The right numbers, in memory that the next backward overwrites."""
    buffer: dict[tuple[int, ...], np.ndarray] = {}

    def operation(x):
        def backward(dy):
            out = buffer.setdefault(x.shape, np.empty(x.shape))
            np.multiply(dy, tanh_slope(x), out=out)
            return (out,)

        return np.tanh(x), backward

    return operation


def writes_to_its_output():
    def operation(x):
        y = np.tanh(x)

        def backward(dy):
            np.multiply(y, y, out=y)
            return (dy * (1 - y),)

        return y, backward

    return operation


def writes_to_its_input():
    def operation(x):
        y = np.tanh(x)

        def backward(dy):
            dx = dy * tanh_slope(x)
            x[...] = 0
            return (dx,)

        return y, backward

    return operation


def without_the_small(x):
    slope = 2 * x
    return np.where(np.abs(slope) < 1e-6 * np.abs(slope).max(), 0, slope)


def one_in_ten_thousand(dy, x):
    dx = dy * tanh_slope(x)
    dx[4321] *= 1.001
    return (dx,)


def layernorm_without_mean(dy, x):
    missing = dy.mean(-1, keepdims=True) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (layernorm_vjp(dy, x)[0] + missing,)


def second_output_forgotten(dy, x):
    dx = dy * np.stack([np.ones_like(x), 2e-9 * x])
    return (dx[0],)


WRONG_OPERATIONS = {
    "writes into dy": (writes_to_dy, normal(3, 4)),
    "x of the last forward": (reads_the_last_forward, normal(3, 4)),
    "slopes 1e8 times smaller, zeroed": (
        simple(lambda x: x * x, lambda dy, x: (dy * without_the_small(x),)), [1e4, 1e-4, 1e4]
    ),
    "a sum of buffers": (adds_to_a_buffer, normal(3, 4)),
    "writes to its output": (writes_to_its_output, normal(3, 4)),
    "GELU with sqrt(2/pi) as 0.7979": (unary(gelu, lambda x: gelu_slope(x, 0.7979)), normal(3, 4)),
    "one of 10,000 off by 1.001": (simple(np.tanh, one_in_ten_thousand), normal(10_000)),
    "softmax, zeros": (simple(softmax, lambda dy, x: (np.zeros_like(x),)), normal(3, 4)),
    "right for dy > 0 only": (
        simple(np.tanh, lambda dy, x: (np.abs(dy) * tanh_slope(x),)), [0.3]
    ),
    "frozen at the first x": (frozen_at_the_first_call, normal(3, 4)),
    "dy clipped to 5": (
        simple(np.tanh, lambda dy, x: (np.clip(dy, -5, 5) * tanh_slope(x),)), normal(3, 4)
    ),
    "second output of 1e-9 forgotten": (
        simple(lambda x: np.stack([x, 1e-9 * x * x]), second_output_forgotten), normal(4)
    ),
    "writes to its input": (writes_to_its_input, normal(3, 4)),
    "writes into dy afterwards": (quietly_writes_to_dy, normal(3, 4)),
    "another answer each time": (another_answer_each_time, normal(3, 4)),
    "returns one buffer": (returns_one_buffer, normal(3, 4)),
    "layer norm without its mean": (
        simple(layernorm, layernorm_without_mean), normal(3, 4)
    ),
    "1.00001 times too large": (unary(np.tanh, lambda x: 1.00001 * tanh_slope(x)), normal(3, 4)),
    "transposed": (
        simple(lambda a: a @ a, lambda dy, a: (dy @ a.T + (dy @ a.T).T,)), normal(3, 3)
    ),
    "straight through round": (unary(np.round, np.ones_like), [0.3, 1.2, -0.7]),
    "b's sign under broadcasting": (
        simple(np.subtract, lambda dy, a, b: (dy, dy.sum(0))), normal(3, 4), normal(4, seed=1)
    ),
    "1e-9 where it should be 0": (
        simple(lambda x: x * [1.0, 0.0], lambda dy, x: (dy * [1.0, 1e-9],)), [0.4, 0.7]
    ),
    "arguments swapped": (
        simple(np.multiply, lambda dy, a, b: (dy * a, dy * b)), normal(4), normal(4, seed=1)
    ),
    "backward in float32": (
        simple(np.tanh, lambda dy, x: (single(single(dy) * single(tanh_slope(x))),)), normal(3, 4)
    ),
    "a factor at large x only": (
        unary(np.cosh, lambda x: np.sinh(x) * np.where(x > 20, 1.01, 1)), [25.0, 0.1]
    ),
    "log1p as log": (unary(np.log1p, lambda x: 1 / x), [1e5, 2e5]),
    "eps forgotten in rmsnorm": (
        unary(lambda x: x / np.sqrt(x * x + 1e-5), lambda x: 0 * x), [3.0, -2.0]
    ),
    "max gives to the wrong one": (
        simple(
            lambda x: x.max(-1), lambda dy, x: (dy[..., None] * (x == x.min(-1, keepdims=True)),)
        ),
        normal(3, 4),
    ),
}


def _listed(right: bool, table: dict[str, tuple[Any, ...]]) -> list[Derivative]:
    return [
        Derivative(name, right, make, tuple(np.array(a, dtype=np.float64) for a in args))
        for name, (make, *args) in table.items()
    ]


RIGHT, WRONG = _listed(True, RIGHT_OPERATIONS), _listed(False, WRONG_OPERATIONS)
TWENTY_FOUR = RIGHT[:12] + WRONG[:12]

def as_tensors(derivative: Derivative):
    """The operation as a function of minigrad's Tensors."""
    operation = derivative.make()

    def f(*xs):
        y, backward = operation(*[x.data for x in xs])
        return Tensor(np.asarray(y), xs, backward)

    return f
