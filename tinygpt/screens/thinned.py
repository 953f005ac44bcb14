"""Curves of bounded memory, however long the run."""

from __future__ import annotations


class Thinned:
    """A curve of bounded size: the mean of every `stride` values, stride doubling as it grows."""

    def __init__(self, limit: int):
        self.limit, self.stride = limit, 1
        self.x: list[float] = []
        self.y: list[float] = []
        self._sum, self._count = 0.0, 0

    def add(self, x: float, y: float) -> None:
        """Append a value; an x that was passed already (a rollback) takes the curve back to it."""
        while self.x and self.x[-1] >= x:
            self.x.pop()
            self.y.pop()
        self._sum, self._count = self._sum + y, self._count + 1
        if self._count == self.stride:
            self.x.append(x)
            self.y.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self.x) >= 2 * self.limit:
            self.x = self.x[1::2]
            self.y = [(a + b) / 2 for a, b in zip(self.y[::2], self.y[1::2], strict=True)]
            self.stride *= 2
