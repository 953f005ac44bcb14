"""A scaling law with its uncertainty: loss = E + A / N^a + B / D^b, from runs of our own.

    law = Law.of(runs())
    law.loss(1e6, 2e7)                 1 million parameters, 20 million tokens
    law.interval(1e6, 2e7)             where nine runs of ten of that kind end

N are the parameters in blocks, D tokens that are never read twice. For given a and b the law is
linear in E, A and B, so that they follow by least squares; a and b are looked for on a grid that
narrows. How sure all that is, the bootstrap says: the same fit on runs drawn from ours with
replacement, again and again. A single run also differs from any law, by seed and by all that the
law leaves out: the interval adds one of the fit's own misses.

The runs (scaling.json) are of one family on one text, the generated stories, letter by letter; they
differ in size and length alone. laws.py, by which `--minutes` chooses, knows more (vocabularies,
short texts, dropout) less exactly.

Sources: Hoffmann et al. 2022, approach 3; Efron 1979.
Read next: budget.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FILE = Path(__file__).parent / "scaling.json"
POWERS = (0.05, 1.5)  # between which a and b are looked for
GRID, ZOOMS = 9, 6  # points each way, and how often the grid narrows around the best
DRAWS = 200  # of the bootstrap
SIZES = 3  # different sizes, and lengths, that a draw must have


class Run(NamedTuple):
    """parameters: in blocks.  tokens: learned from.  loss: nats a token, held out."""

    parameters: float
    tokens: float
    loss: float


class Fit(NamedTuple):
    """loss = floor + size / N^size_power + data / D^data_power."""

    floor: float
    size: float
    size_power: float
    data: float
    data_power: float

    def loss(self, parameters: Any, tokens: Any) -> Any:
        """Nats a token; arrays may be given."""
        return (self.floor + self.size * parameters**-self.size_power
                + self.data * tokens**-self.data_power)

    def optimal(self, operations: float) -> tuple[float, float]:
        """(parameters, tokens) of the least loss for 6 N D operations (their equation 4)."""
        a, b = self.size_power, self.data_power
        ratio = (a * self.size / (b * self.data)) ** (1 / (a + b))
        parameters = ratio * (operations / 6) ** (b / (a + b))
        return parameters, operations / 6 / parameters


def fit(runs: Sequence[Run]) -> Fit:
    """The law that misses these runs the least, in relative terms.

    Raises ValueError for runs of fewer than three sizes or three lengths.
    """
    n, d, loss = np.array(runs, dtype=np.float64).T
    for name, values in (("sizes", n), ("lengths", d)):
        if len(np.unique(values)) < SIZES:
            raise ValueError(f"a law needs runs of {SIZES} {name}, not of "
                             f"{len(np.unique(values))}")
    middle = np.exp(np.log(n).mean()), np.exp(np.log(d).mean())  # so that columns are about 1
    x, y = n / middle[0], d / middle[1]
    low = np.array([POWERS[0], POWERS[0]])
    high = np.array([POWERS[1], POWERS[1]])
    for _ in range(ZOOMS):
        grid = [np.geomspace(low[i], high[i], GRID) for i in (0, 1)]
        a, b = (axis.ravel() for axis in np.meshgrid(*grid, indexing="ij"))
        terms = np.stack([np.ones((len(a), len(n))), x ** -a[:, None], y ** -b[:, None]], axis=-1)
        found, miss = _solve(terms / loss[:, None])
        best = int(miss.argmin())
        step = [axis[1] / axis[0] for axis in grid]
        centre = np.array([a[best], b[best]])
        low, high = np.maximum(centre / step, POWERS[0]), np.minimum(centre * step, POWERS[1])
    floor, size, data = found[best]
    a, b = centre
    return Fit(float(floor), float(size * middle[0]**a), float(a), float(data * middle[1]**b),
               float(b))


def _solve(terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of `terms @ (E, A, B) = 1` for each pair of powers, none of them negative.

    terms: (G, R, 3).  Returns (G, 3) and the sums of squares, (G,).
    """
    found = np.zeros((len(terms), 3))
    miss = np.full(len(terms), np.inf)
    for used in ([0, 1, 2], [1, 2], [0, 2], [0, 1]):  # one that would be negative is left out
        part = terms[:, :, used]
        square = np.einsum("gri,grj->gij", part, part)
        square += 1e-12 * np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(len(used))
        values = np.linalg.solve(square, part.sum(axis=1)[:, :, None])[:, :, 0]
        off = ((np.einsum("gri,gi->gr", part, values) - 1) ** 2).sum(axis=1)
        better = (values >= 0).all(axis=1) & (off < miss)
        miss[better] = off[better]
        found[better] = 0.0
        found[np.ix_(better, used)] = values[better]
    return found, miss


class Law(NamedTuple):
    """fit: the best.  draws: the bootstrap's.  misses: log of seen to said, of each run."""

    fit: Fit
    draws: tuple[Fit, ...]
    misses: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[Run], draws: int = DRAWS, seed: int = 0) -> Law:
        """Fit runs, and draws of them."""
        rng, best, found = np.random.default_rng(seed), fit(runs), list[Fit]()
        while len(found) < draws:
            drawn = [runs[i] for i in rng.integers(0, len(runs), len(runs))]
            kinds = zip(*(run[:2] for run in drawn), strict=True)
            if min(len(set(kind)) for kind in kinds) >= SIZES:
                found.append(fit(drawn))
        n, d, loss = np.array(runs, dtype=np.float64).T
        # Five constants have bent towards the runs: a new one misses by more.
        more = np.sqrt(len(runs) / max(1, len(runs) - len(best)))
        return cls(best, tuple(found), more * np.log(loss / best.loss(n, d)))

    def loss(self, parameters: float, tokens: float) -> float:
        """What is expected, nats a token."""
        return float(self.fit.loss(parameters, tokens))

    def interval(
        self, parameters: float, tokens: float, share: float = 0.9
    ) -> tuple[float, float]:
        """Losses between which a run ends with this probability."""
        said = np.array([draw.loss(parameters, tokens) for draw in self.draws])
        # Every draw with every miss, and with its opposite: misses are few.
        ends = said[:, None] * np.exp(np.concatenate([self.misses, -self.misses]))
        low, high = np.quantile(ends, [(1 - share) / 2, (1 + share) / 2])
        return float(low), float(high)


@cache
def runs() -> tuple[Run, ...]:
    """Those that ship."""
    kept = json.loads(FILE.read_text(encoding="utf-8"))["runs"]
    return tuple(Run(*row) for row in kept)


@cache
def law() -> Law:
    """Of the runs that ship."""
    return Law.of(runs())
