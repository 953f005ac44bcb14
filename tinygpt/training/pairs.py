"""Sums in pairs, like a tournament: of four ((1 + 2) + (3 + 4)), of three ((1 + 2) + 3).

A floating-point sum depends on the order of its additions. This order is the same however many
processes share a step's batches: two of them hold the two halves' sums, four a batch each. That
matters: Muon makes of a gradient's last bits differences of 1e-4 in a weight, so equal order is the
only equality there is. (It is also the more exact order: errors grow with log n instead of n.)

A gradient is added to the one before as soon as a backward pass has finished with its parameter, so
of n batches no more than log2 n (rounded up) sums wait at a time.

Read next: step.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from minigrad import Tensor
from minigrad.engine import leaves_told


def halves(count: int) -> tuple[int, int]:
    """How many are added up on the left and on the right."""
    return count - count // 2, count // 2


def additions(count: int) -> list[int]:
    """After each of `count` numbers, how many additions are due: [0, 1, 0, 2] for four."""
    if count == 1:
        return [0]
    left, right = halves(count)
    *first, last = additions(right)
    return [*additions(left), *first, last + 1]


def copies(count: int) -> int:
    """Sums that are kept at a time, while `count` numbers are added in pairs."""
    left, right = halves(count)
    return max(copies(left), 1 + copies(right)) if right > 1 else 1  # the last is added as it comes


class GradientsInPairs:
    """What several backward passes leave in parameters' .grad, added in pairs.

    count: of passes.  ready: hears of each parameter as soon as its .grad is whole.
    """

    def __init__(
        self, parameters: Iterable[Tensor], count: int,
        ready: Callable[[Tensor], object] | None = None,
    ):
        self._parameters = list(parameters)
        self._sums: dict[int, list[np.ndarray | None]] = {id(p): [] for p in self._parameters}
        self._additions, self._ready = additions(count), ready
        self._early = count > 1 or ready is not None
        self._due: dict[int, int] = {}  # of this pass, for parameters that it has not finished with

    @contextmanager
    def backward(self) -> Iterator[None]:
        """Around each backward pass: takes what it leaves; after the last the sums are in .grad."""
        self._due = dict.fromkeys(self._sums, self._additions.pop(0))
        with leaves_told(self._told if self._early else None):
            yield
        for parameter in self._parameters:
            if id(parameter) in self._due:  # this pass did not reach it
                self._told(parameter)
        if not self._additions and self._ready is None:
            for parameter in self._parameters:
                parameter.grad = self._sums[id(parameter)].pop()

    def _told(self, parameter: Tensor) -> None:
        """A pass has finished with a parameter (with `recompute` it may say so twice)."""
        sums = self._sums.get(id(parameter))
        if sums is None:  # it is not trained
            return
        grad, parameter.grad = parameter.grad, None
        for _ in range(self._due.pop(id(parameter), 1)):
            grad = _added(sums.pop(), grad)
        sums.append(grad)
        if not self._additions and self._ready is not None:
            parameter.grad = sums.pop()
            self._ready(parameter)


def _added(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    """a + b, written over a; None counts nothing."""
    if a is None or b is None:
        return b if a is None else a
    return np.add(a, b, out=a)
