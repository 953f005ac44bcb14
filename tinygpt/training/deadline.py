"""A training that ends at a time: how many steps it makes follows how fast they really are.

A forecast of the time is as good as the machine is steady, and a laptop is not: it grows warm, it
is plugged out, somebody opens a browser. So the steps are counted anew while they are made. The
learning rate is a function of the share of the steps that are made (schedule.py): with another
number of them its way stays the same, and its end comes when the time is over.

Read first: trainer.py, which asks after every step.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

LOOKS = 50  # times that the clock is looked at on the whole way
LATELY = 10  # looks that "lately" goes back: a fifth of the way
SLACK = 0.02  # of the whole time: the end may be so far off before the steps change


class Deadline:
    """The number of steps that end when `at` is reached.

    at: seconds by `clock`.  most: steps, however fast they are; None for no bound.
    """

    def __init__(
        self, at: float, most: int | None = None, clock: Callable[[], float] = time.monotonic
    ):
        self.at, self.most, self._clock = at, most, clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=LATELY + 1)
        self._next = 0.0

    def steps(self, made: int, planned: int) -> int:
        """How many to make in all, `made` of `planned` being made; `planned` if that is near."""
        now = self._clock()
        if not self._marks:
            self._whole = self.at - now
            self._marks.append((now, made))
        if now >= self.at:
            return made
        if now < self._next or made == self._marks[-1][1]:
            return planned
        self._next = now + self._whole / LOOKS
        then, before = self._marks[0]
        self._marks.append((now, made))
        each = (now - then) / (made - before)  # seconds
        wanted = made + max(1, int((self.at - now) / each))
        wanted = wanted if self.most is None else min(wanted, self.most)
        near = abs(wanted - planned) * each <= SLACK * self._whole
        return planned if near else wanted
