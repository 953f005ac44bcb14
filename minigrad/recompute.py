"""Memory for time: forget what a part of the model computed, and compute it again in backward.

A model of many equal blocks keeps what every block computed until backward reaches it. `recompute`
keeps a block's inputs alone and runs it a second time. That run must be the first one again, so the
keys of its random numbers (dropout) are recorded in the first and replayed in the second.
Source: Chen et al. 2016.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.engine import Gradient, Node, backward, enable_grad, is_grad_enabled, no_grad
from minigrad.tensor import Tensor
from minigrad.writes import clock


class _Keys(threading.local):
    """This thread's random keys: those still to be replayed, and those drawn so far."""

    replay: Iterator[int] | None = None
    recorded: list[int] | None = None


_keys = _Keys()


def draw_key(generator: np.random.Generator) -> int:
    """A random 64-bit key for an op such as dropout; `recompute` replays the same keys."""
    if _keys.replay is not None:
        key = next(_keys.replay)
    else:
        key = int(generator.integers(2**64, dtype=np.uint64))
    if _keys.recorded is not None:
        _keys.recorded.append(key)
    return key


def recompute(function: Callable[..., Any], *inputs: Tensor | None) -> Any:
    """function(*inputs), computed again in backward instead of keeping its activations.

    function: takes Tensors (or None), returns a Tensor or a tuple of them; parameters it uses by
    other ways (a module's weights) get their gradients too.  Only `inputs` stay alive.
    Gradients are the same bytes as without.  Cost: one more forward (tinygpt/model/gpt.py has
    figures).
    """
    if not is_grad_enabled():
        return function(*inputs)
    began = next(clock)
    result, keys = _first_run(function, inputs)
    several = isinstance(result, tuple)

    def run_again(*dys: Gradient) -> list[Gradient]:
        copies = [x if x is None else x.detach().requires_grad_(x.requires_grad) for x in inputs]
        again = _second_run(function, copies, keys)
        outputs = again if several else (again,)
        pairs = [(y, dy) for y, dy in zip(outputs, dys, strict=True) if y.requires_grad]
        backward([y for y, _ in pairs], [dy for _, dy in pairs], began)
        return [copy if copy is None else copy.grad for copy in copies]

    # The weights inside need gradients even when no input does, so the node is made either way.
    arrays = tuple([y.data for y in (result if several else (result,))])
    node = Node(inputs, run_again, tuple([y.shape for y in arrays]))
    outputs = tuple([Tensor.output(y, node, slot) for slot, y in enumerate(arrays)])
    return outputs if several else outputs[0]


def _first_run(
    function: Callable[..., Any], inputs: Sequence[Tensor | None]
) -> tuple[Any, list[int]]:
    """(result, without a graph; the random keys it drew)."""
    outside, _keys.recorded = _keys.recorded, []
    try:
        with no_grad():
            result = function(*inputs)
        keys = _keys.recorded
    finally:
        _keys.recorded = outside
    if outside is not None:
        outside.extend(keys)
    return result, keys


def _second_run(
    function: Callable[..., Any], inputs: Sequence[Tensor | None], keys: list[int]
) -> Any:
    """The result again, with a graph, from the same random keys."""
    before = _keys.replay, _keys.recorded
    _keys.replay, _keys.recorded = iter(keys), None
    try:
        with enable_grad():
            return function(*inputs)
    finally:
        _keys.replay, _keys.recorded = before
