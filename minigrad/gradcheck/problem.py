"""What is checked, in one form: a function of arrays and its vector-Jacobian product.

`Problem` hides where they came from (Tensors and their backward, or two NumPy functions) and what
their arguments look like (nested, some of them integers): to the checker they are lists of float64
arrays in, lists of float64 arrays out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import engine
from minigrad.gradcheck.trees import array, is_float, leaves, rebuild
from minigrad.tensor import Tensor

Arrays = list[np.ndarray]


@dataclass
class Problem:
    """names, xs: the floating arguments.  evaluate: xs -> ys.  pullback: xs, dys -> (ys, dxs).

    A gradient of None means that nothing reached the argument; it counts as zeros.
    """

    names: list[str]
    xs: Arrays
    evaluate: Callable[[Arrays], Arrays]
    pullback: Callable[[Arrays, Arrays], tuple[Arrays, list[np.ndarray | None]]]


def from_tensors(f: Callable[..., Any], args: Sequence[Any], dtype: type = np.float64) -> Problem:
    """f of Tensors; floating arguments are cast to dtype and differentiated by backward()."""
    flat = leaves(tuple(args))
    chosen = [i for i, (_, leaf) in enumerate(flat) if is_float(leaf)]

    def call(xs: Arrays, requires_grad: bool) -> tuple[list[Tensor], list[Tensor]]:
        values = [_as_data(leaf) for _, leaf in flat]
        inputs = [Tensor(x.astype(dtype, copy=False), requires_grad=requires_grad) for x in xs]
        for i, tensor in zip(chosen, inputs, strict=True):
            values[i] = tensor
        result = f(*rebuild(tuple(args), values))
        for path, leaf in leaves(result):
            if not isinstance(leaf, Tensor):
                raise TypeError(f"f must return Tensors; result{path} is {type(leaf).__name__}")
        return inputs, [leaf for _, leaf in leaves(result) if is_float(leaf)]

    def evaluate(xs: Arrays) -> Arrays:
        with engine.no_grad():
            return [y.data for y in call(xs, False)[1]]

    def pullback(xs: Arrays, dys: Arrays) -> tuple[Arrays, list[np.ndarray | None]]:
        with engine.enable_grad():
            inputs, outputs = call(xs, True)
            pairs = [(y, dy) for y, dy in zip(outputs, dys, strict=True) if y.requires_grad]
            engine.backward([y for y, _ in pairs], [dy.astype(dtype) for _, dy in pairs])
        return [y.data for y in outputs], [x.grad for x in inputs]

    return Problem(_names(flat, chosen), _copies(flat, chosen), evaluate, pullback)


def from_arrays(f: Callable[..., Any], vjp: Callable[..., Any], args: Sequence[Any]) -> Problem:
    """f(*args) -> ys and vjp(dys, *args) -> gradients in the order of args, all NumPy arrays."""
    flat = leaves(tuple(args))
    chosen = [i for i, (_, leaf) in enumerate(flat) if is_float(leaf)]

    def build(xs: Arrays) -> tuple[Any, ...]:
        values = [leaf for _, leaf in flat]
        for i, x in zip(chosen, xs, strict=True):
            values[i] = x.copy()
        return rebuild(tuple(args), values)

    def evaluate(xs: Arrays) -> Arrays:
        ys = [array(y) for _, y in leaves(f(*build(xs)))]
        return [y for y in ys if is_float(y)]

    def pullback(xs: Arrays, dys: Arrays) -> tuple[Arrays, list[np.ndarray | None]]:
        result = f(*build(xs))
        ys = [array(y) for _, y in leaves(result)]
        cotangents = iter(dys)
        given = [next(cotangents) if is_float(y) else None for y in ys]
        grads = vjp(rebuild(result, given), *build(xs))
        if not isinstance(grads, (tuple, list, dict)):
            grads = (grads,)
        got = [g for _, g in leaves(grads)]
        if len(got) == len(flat):
            got = [got[i] for i in chosen]
        if len(got) != len(chosen):
            raise ValueError(
                f"vjp returned {len(got)} gradients for {len(flat)} arguments "
                f"({len(chosen)} of them floating)"
            )
        numbers = [None if g is None else np.asarray(g, dtype=np.float64) for g in got]
        return [y for y in ys if is_float(y)], numbers

    return Problem(_names(flat, chosen), _copies(flat, chosen), evaluate, pullback)


def _as_data(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _copies(flat: list[tuple[str, Any]], chosen: list[int]) -> Arrays:
    """float64 copies that keep the strides' order: a transposed view stays one."""
    return [array(flat[i][1]).astype(np.float64, order="K", copy=True) for i in chosen]


def _names(flat: list[tuple[str, Any]], chosen: list[int]) -> list[str]:
    return [f"args{flat[i][0]}" for i in chosen]
