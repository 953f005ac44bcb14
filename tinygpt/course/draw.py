"""Inputs for properties: drawn from a seed, and made small again when one of them fails.

Everything that is drawn is a list of whole numbers from 0 up, the choices; 0 is always the simplest
one (the first option, the shortest array, the number 0). An input is made from choices alone, so a
failing input is made simpler by making its choices fewer and smaller and looking whether it still
fails. No generator has to know how to shrink what it makes.

Source: the idea of shrinking choices in place of values is hypothesis's (MacIver and Donaldson
2020); this is as much of it as a page of code holds, so that a learner needs nothing installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
# What an element of an array may be, the simplest first: short to print, exact in float32.
NUMBERS = (
    0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.25, -0.25, 0.75, -0.75,
    1.25, -1.25, 1.75, -1.75,
)
PATIENCE = 1.0  # seconds of shrinking


class Draw:
    """A source of choices: those given, then more from rng, or the simplest without one."""

    def __init__(self, rng: np.random.Generator | None = None, given: Sequence[int] = ()):
        self._rng, self._given = rng, given
        self.choices: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """From low, the simplest, to high, both included."""
        at, most = len(self.choices), high - low
        if at < len(self._given):
            choice = min(self._given[at], most)
        else:
            choice = 0 if self._rng is None else int(self._rng.integers(0, most + 1))
        self.choices.append(choice)
        return low + choice

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.integer(0, len(options) - 1)]

    def flag(self) -> bool:
        """False, the simpler, or True."""
        return self.integer(0, 1) == 1

    def dtype(self) -> type[Any]:
        """float32 or float64."""
        return self.choice((np.float32, np.float64))

    def shape(self, low: int, high: int, longest: int = 4) -> tuple[int, ...]:
        """A shape of low to high axes of length 1 to `longest`."""
        return tuple(self.integer(1, longest) for _ in range(self.integer(low, high)))

    def array(
        self, shape: Sequence[int], dtype: Any = np.float64, numbers: Sequence[float] = NUMBERS
    ) -> np.ndarray:
        """An array of some of `numbers`."""
        size = int(np.prod(shape))
        made = [numbers[self.integer(0, len(numbers) - 1)] for _ in range(size)]
        return np.array(made, dtype).reshape(shape)

    def ids(self, shape: Sequence[int], count: int) -> np.ndarray:
        """int64 below `count`."""
        size = int(np.prod(shape))
        return np.array([self.integer(0, count - 1) for _ in range(size)], np.int64).reshape(shape)


def drawn(make: Callable[[Draw], T], seed: int, count: int) -> list[tuple[list[int], T]]:
    """`count` inputs with their choices, the same for the same seed; the first is the simplest."""
    found = []
    for number in range(count):
        draw = Draw(np.random.default_rng([seed, number]) if number else None)
        made = make(draw)
        found.append((draw.choices, made))
    return found


def shrink(choices: Sequence[int], fails: Callable[[Draw], bool]) -> list[int]:
    """Choices of a simpler input that still fails, within PATIENCE.

    fails: makes its input from a Draw and says whether it fails.
    """
    best, end = list(choices), time.monotonic() + PATIENCE

    def better(candidate: list[int]) -> bool:
        nonlocal best
        if time.monotonic() > end:
            return False
        draw = Draw(given=candidate)
        if not fails(draw) or _weight(draw.choices) >= _weight(best):
            return False
        best = draw.choices
        return True

    while time.monotonic() < end and (_fewer(best, better) or _smaller(best, better)):
        pass
    return best


def _weight(choices: Sequence[int]) -> tuple[int, int]:
    return len(choices), sum(choices)


def _fewer(choices: list[int], better: Callable[[list[int]], bool]) -> bool:
    """Leave out a stretch of choices, long ones first."""
    length = max(len(choices) // 2, 1)
    while length:
        for at in range(len(choices) - length, -1, -1):
            if better(choices[:at] + choices[at + length :]):
                return True
        length //= 2
    return False


def _smaller(choices: list[int], better: Callable[[list[int]], bool]) -> bool:
    """Make one choice less: the least that will do, or of a large one half."""
    for at, choice in enumerate(choices):
        for less in range(choice) if choice < 32 else (0, choice // 2, choice - 1):
            if better([*choices[:at], less, *choices[at + 1 :]]):
                return True
    return False
