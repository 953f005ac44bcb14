"""A scaling law with its uncertainty: loss = E + A / N^a + B / D^b, from runs of our own.

    law = Law.of(runs())
    law.loss(1e6, 2e7)                 1 million parameters, 20 million tokens
    law.interval(1e6, 2e7)             where nine runs of ten of that kind end

N are the parameters in blocks, D tokens that are never read twice. For given a and b the law is
linear in E, A and B, so that they follow by least squares; a and b are looked for on a grid that
narrows. How sure all that is, the bootstrap says: the same fit on runs drawn from ours with
replacement, again and again. Runs that are far from the floor E hardly know it, and so it is drawn
too, from all floors with which the law fits about as well as with the best. What is expected is the
middle of the draws. A single run also differs from any law, by seed and by all that the law leaves
out: the interval adds one of the fit's own misses.

The runs (scaling.json) are of one family (two heads or more) on one text, the generated stories,
letter by letter; they differ in size and length alone. laws.py, by which `--minutes` chooses, knows
more (vocabularies, short texts, dropout) less exactly.

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
FLOORS = 17  # that are tried, from 0 to the least loss of a run
WORSE = 4.0  # times the squares' share of a constant, as which a floor may be worse (95 % of F)
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


def fit(runs: Sequence[Run], floor: float | None = None) -> Fit:
    """The law that misses these runs the least, in relative terms.

    floor: E, None to find it.
    Raises ValueError for runs of fewer than three sizes or three lengths.
    """
    return _fitted(runs, floor)[0]


def _fitted(runs: Sequence[Run], floor: float | None) -> tuple[Fit, float]:
    """The fit, and the sum of its squared misses."""
    n, d, loss = np.array(runs, dtype=np.float64).T
    for name, values in (("sizes", n), ("lengths", d)):
        if len(np.unique(values)) < SIZES:
            raise ValueError(f"a law needs runs of {SIZES} {name}, not of "
                             f"{len(np.unique(values))}")
    middle = np.exp(np.log(n).mean()), np.exp(np.log(d).mean())  # so that columns are about 1
    x, y = n / middle[0], d / middle[1]
    low = np.array([POWERS[0], POWERS[0]])
    high = np.array([POWERS[1], POWERS[1]])
    target = np.ones(len(n)) if floor is None else 1 - floor / loss
    for _ in range(ZOOMS):
        grid = [np.geomspace(low[i], high[i], GRID) for i in (0, 1)]
        powers = np.stack([axis.ravel() for axis in np.meshgrid(*grid, indexing="ij")])  # (2, G)
        terms = [x ** -powers[0][:, None], y ** -powers[1][:, None]]
        terms += [np.ones_like(terms[0])] if floor is None else []
        found, miss = _solve(np.stack(terms, axis=-1) / loss[:, None], target)
        best = int(miss.argmin())
        step = [axis[1] / axis[0] for axis in grid]
        centre = powers[:, best]
        low, high = np.maximum(centre / step, POWERS[0]), np.minimum(centre * step, POWERS[1])
    size, data, *free = (float(value) for value in found[best])
    a, b = (float(power) for power in centre)
    return Fit(free[0] if floor is None else floor, size * middle[0]**a, a, data * middle[1]**b,
               b), float(miss[best])


def _solve(terms: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of `terms @ factors = target` for each pair of powers, no factor negative.

    terms: (G, R, K).  target: (R,).  Returns (G, K) and the sums of squares, (G,).
    """
    found, miss = _least_squares(terms, target)
    (below,) = np.nonzero((found < 0).any(axis=1))
    miss[below], everything = np.inf, range(terms.shape[2])
    for out in everything if len(below) else ():  # one that would be negative is left out
        used = [k for k in everything if k != out]
        values, off = _least_squares(terms[below][:, :, used], target)
        better = (values >= 0).all(axis=1) & (off < miss[below])
        places = below[better]
        miss[places], found[places] = off[better], 0.0
        found[places[:, None], used] = values[better]
    return found, miss


def _least_squares(terms: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As _solve, of any sign."""
    turned = terms.swapaxes(1, 2)
    square = turned @ terms
    tiny = 1e-12 * np.trace(square, axis1=1, axis2=2)
    square += tiny[:, None, None] * np.eye(terms.shape[2])
    values = np.linalg.solve(square, (turned @ target)[:, :, None])[:, :, 0]
    return values, (((terms @ values[:, :, None])[:, :, 0] - target) ** 2).sum(axis=1)


def floors(runs: Sequence[Run]) -> list[float]:
    """Values of E with which the law fits these runs about as well as with the best of them."""
    tried = np.linspace(0.0, min(run.loss for run in runs), FLOORS)[:-1]
    misses = np.array([_fitted(runs, float(floor))[1] for floor in tried])
    free = max(1, len(runs) - len(Fit._fields))
    return [float(f) for f in tried[misses <= misses.min() * (1 + WORSE / free)]]


class Law(NamedTuple):
    """fit: the best by its squares.  draws: the bootstrap's.  misses: log of seen to said.
    operations: of the dearest run, 6 N D.
    """

    fit: Fit
    draws: tuple[Fit, ...]
    misses: np.ndarray
    operations: float = 0.0

    @classmethod
    def of(cls, runs: Sequence[Run], draws: int = DRAWS, seed: int = 0) -> Law:
        """Fit runs, and draws of them."""
        rng, best, likely = np.random.default_rng(seed), fit(runs), floors(runs)
        found: list[Fit] = []
        while len(found) < draws:
            drawn = [runs[i] for i in rng.integers(0, len(runs), len(runs))]
            kinds = zip(*(run[:2] for run in drawn), strict=True)
            if min(len(set(kind)) for kind in kinds) >= SIZES:
                found.append(fit(drawn, likely[rng.integers(len(likely))]))
        n, d, loss = np.array(runs, dtype=np.float64).T
        # Five constants have bent towards the runs: a new one misses by more.
        more = np.sqrt(len(runs) / max(1, len(runs) - len(best)))
        return cls(best, tuple(found), more * np.log(loss / best.loss(n, d)),
                   float(6 * (n * d).max()))

    def loss(self, parameters: float, tokens: float) -> float:
        """What is expected, nats a token."""
        return float(np.median([draw.loss(parameters, tokens) for draw in self.draws]))

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
