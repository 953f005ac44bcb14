"""Plant a mistake in the backward of real operations, to see that the checks notice.

Every backward closure passes through engine.Node, so one place is enough: while `planted` holds,
the gradient that a closure returns for one of its parents is replaced by a mutated one.
"""

from __future__ import annotations

from collections.abc import Iterator
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

    def spread(node: engine.Node, outputs: list, grads) -> None:
        grads = list(grads)
        wanted = [i for i, p in enumerate(node.parents) if p is not None and grads[i] is not None]
        leaves = [i for i in wanted if type(node.parents[i]) is not engine.Node]
        if argument < len(leaves):
            i = leaves[argument]
            shape = node.parents[i].data.shape
            right = grads[i] if grads[i].shape == shape else engine.unbroadcast(grads[i], shape)
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
