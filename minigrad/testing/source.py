"""Where a test's examples come from: a seeded generator, or hypothesis.

The registry (registry.py) describes the arguments of an operation once, in terms of a `Source`:
an integer from here to there, one of these, an array of this shape. `RandomSource` answers with a
Generator (for a table, a mutation run); strategies.py answers with hypothesis, which then
shrinks a failing example to a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SIZES = (1, 2, 3, 5, 7)  # of an axis; 0 only where an operation says so
KINDS = {
    "normal": lambda shape, rng: rng.standard_normal(shape),
    "zeros": lambda shape, rng: np.zeros(shape),
    "ties": lambda shape, rng: rng.integers(-2, 3, shape).astype(np.float64),
    "huge": lambda shape, rng: rng.standard_normal(shape) * 1e4,
    "tiny": lambda shape, rng: rng.standard_normal(shape) * 1e-8,
    "positive": lambda shape, rng: np.exp(rng.standard_normal(shape)),
    "apart": lambda shape, rng: rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape),
    "masked": lambda shape, rng: np.where(
        rng.random(shape) < 0.3, -np.inf, rng.standard_normal(shape)
    ),
}
EVERYWHERE = ("normal", "zeros", "ties", "huge", "tiny")  # what a smooth operation should stand
LAYOUTS = ("contiguous", "transposed", "strided", "reversed")


class Source:
    """Choices. A subclass answers `integer`; the rest is built on it.

    telling: only examples from which a check can learn: axes of 2 or more, ordinary values.
    """

    telling = False

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        raise NotImplementedError

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options; the first is the simplest."""
        return options[self.integer(0, len(options) - 1)]

    def flag(self) -> bool:
        """False or True."""
        return bool(self.integer(0, 1))

    def generator(self) -> np.random.Generator:
        """For bulk numbers, from a drawn seed."""
        return np.random.default_rng(self.integer(0, 2**32 - 1))

    def size(self, zero: bool = False) -> int:
        """Length of an axis: 1, small primes, 0 if allowed."""
        if self.telling:
            return self.choice(SIZES[1:])
        return self.choice((*SIZES, 0) if zero else SIZES)

    def shape(self, low: int = 0, high: int = 3, zero: bool = True) -> tuple[int, ...]:
        """A shape of low to high axes."""
        if self.telling:
            low = max(low, 1)
        return tuple(self.size(zero) for _ in range(self.integer(low, max(low, high))))

    def broadcasting(self, zero: bool = True) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two shapes that broadcast: one has axes shortened to 1 or leading axes left out."""
        full = self.shape(zero=zero)

        def part() -> tuple[int, ...]:
            kept = full[self.integer(0, len(full)) :] if self.flag() else full
            return tuple(1 if self.integer(0, 3) == 3 else n for n in kept)

        return (part(), full) if self.flag() else (full, part())

    def array(
        self, shape: tuple[int, ...], kinds: Sequence[str] = ("normal",), layouts: bool = True
    ) -> np.ndarray:
        """float64 values of one of the kinds (see KINDS), in one of the memory LAYOUTS."""
        kind = kinds[0] if self.telling else self.choice(kinds)
        layout = self.choice(LAYOUTS) if layouts else "contiguous"
        return arranged(np.asarray(KINDS[kind](shape, self.generator())), layout)

    def ids(self, shape: tuple[int, ...], below: int) -> np.ndarray:
        """Integers from 0 to below - 1, with repetitions."""
        return self.generator().integers(0, below, shape)


class RandomSource(Source):
    """Answers from a numpy Generator."""

    def __init__(self, rng: np.random.Generator, telling: bool = False):
        self.rng = rng
        self.telling = telling

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))


def arranged(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values as a view that is not contiguous (where the shape allows one)."""
    if layout == "transposed" and array.ndim >= 2:
        return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    if layout == "strided" and array.ndim >= 1:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]))
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed" and array.ndim >= 1:
        return np.ascontiguousarray(array[::-1])[::-1]
    return array
