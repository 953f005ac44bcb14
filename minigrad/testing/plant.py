"""Plant a mistake in the backward of real operations, to see that the checks notice.

Every backward closure passes through engine.Node, so one place is enough: while `planted` holds,
the gradient that a closure returns for one of its parents is replaced by a mutated one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from minigrad import engine
from minigrad.gradcheck.mutations import KINDS, mutate
from minigrad.testing import certify
from minigrad.testing.registry import Case, Op

__all__ = ["KINDS", "caught_by_differences", "planted"]


@contextmanager
def planted(kind: str, argument: int, seed: int = 0) -> Iterator[list[bool]]:
    """Spoil the gradient of the `argument`-th differentiated parent in every backward.

    Yields a list that gets an entry for each gradient really changed: a mutation can leave a
    gradient as it is (a vector transposed), and then there is nothing to catch.
    """
    changed: list[bool] = []
    original = engine._spread

    def spread(
        node: engine.Node, outputs: list[engine.Gradient], grads: Sequence[engine.Gradient]
    ) -> None:
        grads = list(grads)
        leaves = [
            (i, parent.data.shape, grad)
            for i, (parent, grad) in enumerate(zip(node.parents, grads, strict=True))
            if parent is not None and grad is not None and type(parent) is not engine.Node
        ]
        if argument < len(leaves):
            i, shape, right = leaves[argument]
            if right.shape != shape:
                right = engine.unbroadcast(right, shape)
            wrong = mutate(kind, right, np.random.default_rng(seed))
            if np.linalg.norm(wrong - right) > 1e-4 * np.linalg.norm(right):
                changed.append(True)
            grads[i] = wrong
        original(node, outputs, grads)

    engine._spread = spread
    try:
        yield changed
    finally:
        engine._spread = original


def caught_by_differences(op: Op, case: Case, seed: int) -> bool:
    """Whether check_grads fails (nothing less: vacuous would be no catch)."""
    return certify.against_differences(op, case, seed, order=1).status == "failed"
