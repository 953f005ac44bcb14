"""What is checked, in one form: a function of arrays and its vector-Jacobian product.

`Problem` hides where they came from (Tensors and their backward, or two NumPy functions) and what
their arguments look like (nested, some of them integers): to the checker they are lists of float64
arrays in, lists of float64 arrays out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import engine
from minigrad.gradcheck.modules import functional
from minigrad.gradcheck.trees import array, is_float, leaves, rebuild
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

Arrays = list[np.ndarray]


class WroteTo(Exception):
    """A backward changed an array that is not its own; says which."""


Pullback = Callable[..., tuple[Arrays, list[np.ndarray | None]]]


@dataclass
class Problem:
    """names, xs: the floating arguments.  evaluate: xs -> ys.

    pullback: xs, dys, between -> (ys, dxs). Forward at xs, then forward once more where `between`
        says (None: not), then backward of the first. A gradient of None means that nothing reached
        the argument; it counts as zeros. Raises WroteTo if backward changed dys, xs or ys.
    """

    names: list[str]
    xs: Arrays
    evaluate: Callable[[Arrays], Arrays]
    pullback: Pullback


def from_tensors(f: Callable[..., Any], args: Sequence[Any], dtype: type = np.float64) -> Problem:
    """f of Tensors; floating arguments are cast to dtype and differentiated by backward().

    A Module is a function of its parameters too.
    """
    rename: Callable[[str], str] = str
    if isinstance(f, Module):
        f, args, rename = functional(f, args)
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

    def pullback(
        xs: Arrays, dys: Arrays, between: Arrays | None = None
    ) -> tuple[Arrays, list[np.ndarray | None]]:
        with engine.enable_grad():
            inputs, outputs = call(xs, True)
            if between is not None:
                call(between, True)
            pairs: list[tuple[Tensor, np.ndarray]]
            pairs = [(y, np.array(dy, dtype)) for y, dy in zip(outputs, dys, strict=True)
                     if y.requires_grad]
            with _untouched(dy=[dy for _, dy in pairs], argument=xs, output=[
                y.data for y in outputs
            ]):
                _freeze([y.node for y, _ in pairs if y.node is not None])
                engine.backward([y for y, _ in pairs], [dy for _, dy in pairs])
        return [y.data for y in outputs], [x.grad for x in inputs]

    names = [rename(name) for name in _names(flat, chosen)]
    return Problem(names, _copies(flat, chosen), evaluate, pullback)


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

    def pullback(
        xs: Arrays, dys: Arrays, between: Arrays | None = None
    ) -> tuple[Arrays, list[np.ndarray | None]]:
        own = build(xs)
        result = f(*own)
        if between is not None:
            f(*build(between))
        ys = [array(y) for _, y in leaves(result)]
        cotangents = iter(dys)
        given = [np.array(next(cotangents)) if is_float(y) else None for y in ys]
        with _untouched(dy=[dy for dy in given if dy is not None], argument=[
            array(leaf) for _, leaf in leaves(own)
        ], output=ys):
            grads = vjp(rebuild(result, given), *own)
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


@contextmanager
def _untouched(**arrays: Arrays) -> Iterator[None]:
    """For the length of a backward: dy is read-only, and nothing named may change.

    dy may be the gradient of somebody else too, and outputs are read by whoever comes next.
    """
    before = {name: [a.tobytes() for a in group] for name, group in arrays.items()}
    for dy in arrays["dy"]:
        dy.flags.writeable = False
    try:
        yield
    except ValueError as error:
        if "read-only" in str(error):
            raise WroteTo("dy") from error
        raise
    for name, group in arrays.items():
        if [a.tobytes() for a in group] != before[name]:
            raise WroteTo({"dy": "dy", "argument": "an argument", "output": "its output"}[name])


def _freeze(roots: list[engine.Node]) -> None:
    """Let every closure of a graph see dy read-only, those in the middle too."""

    def reading(backward: engine.Backward) -> engine.Backward:
        def call(*dys: engine.Gradient) -> Sequence[engine.Gradient]:
            seen = [None if dy is None else np.asarray(dy).view() for dy in dys]
            for dy in seen:
                if dy is not None:
                    dy.flags.writeable = False
            return backward(*seen)

        return call

    for node in engine._topological(roots):
        if node.backward is not None:
            node.backward = reading(node.backward)


def _as_data(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _copies(flat: list[tuple[str, Any]], chosen: list[int]) -> Arrays:
    """float64 copies that keep the strides' order: a transposed view stays one."""
    return [array(flat[i][1]).astype(np.float64, order="K", copy=True) for i in chosen]


def _names(flat: list[tuple[str, Any]], chosen: list[int]) -> list[str]:
    return [f"args{flat[i][0]}" for i in chosen]
