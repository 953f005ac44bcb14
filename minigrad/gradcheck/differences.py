"""Derivatives from differences, with an estimate of their own error.

A central difference D(h) = (F(h) - F(-h)) / 2h is wrong in two ways: its truncation error shrinks
like h^2, its rounding error grows like eps |F| / h. No single h suits every function, so h runs
from large to small, and at each the last few D are combined so that the h^2, h^4, ... terms cancel
(Richardson extrapolation). Where two combinations agree best is the plateau; by how much they
disagree is the error estimate. Source: Ridders 1982.

Two D can agree and both be wrong: where F is flat on either side and changes only near 0 (a softmax
of large numbers), every long step gives 0; beside a kink every long step gives the mean of two
slopes; beyond a pole the two sides cancel. What the central difference leaves out tells: the even
part E(h) = F(h) + F(-h) - 2 F(0) is h^2 F'' where F is smooth, 1/16 of itself at the next step. At
a kink it is 1/4, over a narrow bump or a pole it does not shrink. Where it shrinks by less than
eight, D may be off by E / 2h, and if E is more than rounding, what longer steps said is void: what
changes, changes within this step. The walk ends where D is sharp, or where the rounding of a still
shorter step alone would be more than the error found.

The same samples tell a kink: E(h) / h vanishes with h where F is smooth; at a kink it stays, and is
the jump of the slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Powers of two: x + h v is then a float64 without rounding, where v has few digits, and a pole at a
# distance of 1e-12 is seen as sharply as one at 1.
LARGEST, SHRINK = 2.0**-3, 4.0  # h = 0.125, 0.031, ... the first inside the domain
SMALLEST = 2.0**-47
WINDOW = 4  # levels combined: larger h than these are forgotten (a kink may lie between)
SHARP = 1e-9  # of the value: no need to be better
SMOOTH, ANY = 1 / 8, 1 / 2  # part of the even part that may be left; ANY lets kinks pass
SEEN = 8.0  # times the rounding of a sample: an even part beyond is none
KINK_STEP = LARGEST / SHRINK**8  # 1.9e-6: kinks are looked for from here downwards
EPS = float(np.finfo(np.float64).eps)

# t -> (F(t) - F(0), how far it is rounded), two arrays (1,) or (n,)
Curve = Callable[[float], tuple[np.ndarray, np.ndarray]]


@dataclass
class Derivative:
    """value, error: dF/dt at 0 and how far it may be off; noise: rounding of a sample. Arrays.

    step: h of the best entry.
    """

    value: np.ndarray
    error: np.ndarray
    noise: np.ndarray
    step: float


def differentiate(curve: Curve, eps: float | None = None, left: float = SMOOTH) -> Derivative:
    """Derivative of a curve at 0.

    eps: a fixed step instead of the search.
    left: part of the even part that may be left at the next step of a curve that counts as smooth.
    """
    if eps is not None:
        return _fixed(curve, eps)
    best: Derivative | None = None
    rows: list[list[np.ndarray]] = []
    h = LARGEST
    even = np.zeros(())
    while h > SMALLEST:
        d, now, noise = _central(curve, h)
        wider, even = even, now
        if not np.isfinite(d).all():  # stepped out of the domain: a smaller h may stay inside
            rows.clear()
            h /= SHRINK
            continue
        row = [d]
        for j in range(1, min(len(rows) + 1, WINDOW)):
            row.append(row[-1] + (row[-1] - rows[-1][j - 1]) / (SHRINK ** (2 * j) - 1))
        if rows:
            rough = even > wider * left
            unexplained = np.where(rough, even, 0) / (2 * h)
            if best is not None:
                best.error = np.where(rough & (even > SEEN * noise), np.inf, best.error)
            best = _better(best, row, rows[-1], noise, unexplained, h)
            enough = np.maximum(SHARP * np.abs(best.value), noise / h)
            if len(rows) > 1 and (best.error <= enough).all():
                return best
        rows.append(row)
        h /= SHRINK
    if best is None:
        nothing = np.full_like(curve(0.0)[0], np.nan)
        return Derivative(nothing, nothing + np.inf, nothing, h)
    return best


def mixed(where: np.ndarray, a: Derivative, b: Derivative) -> Derivative:
    """a where the mask holds, b elsewhere."""
    return Derivative(
        np.where(where, a.value, b.value), np.where(where, a.error, b.error),
        np.where(where, a.noise, b.noise), min(a.step, b.step),
    )


def bend(curve: Curve, h: float) -> float:
    """E(h) / h: about 0 for a smooth curve, the jump of the slope at a kink."""
    return float((curve(h)[0] + curve(-h)[0])[0]) / h


def one_sided(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """(left, right) slopes at 0."""
    slopes = []
    for sign in (-1.0, 1.0):
        fine, coarse = (sign * curve(sign * h)[0] / h for h in (KINK_STEP, KINK_STEP * SHRINK))
        slopes.append((SHRINK * fine - coarse) / (SHRINK - 1))
    return slopes[0], slopes[1]


def _central(curve: Curve, h: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D(h), |E(h)|, rounding of a sample)."""
    (right, right_noise), (left, left_noise) = curve(h), curve(-h)
    noise = np.maximum(right_noise, left_noise)
    return (right - left) / (2 * h), np.abs(right + left), noise


def _better(
    best: Derivative | None,
    row: list[np.ndarray],
    before: list[np.ndarray],
    noise: np.ndarray,
    unexplained: np.ndarray,
    h: float,
) -> Derivative:
    """The entry of least estimated error, element by element, of `best` and this row."""
    for j, entry in enumerate(row):
        error = np.abs(entry - before[j]) if j < len(before) else np.zeros_like(entry)
        if j:
            error = np.maximum(np.abs(entry - row[j - 1]), np.abs(entry - before[j - 1]))
        error = error + noise / h + unexplained
        if best is None:
            best = Derivative(entry, error, noise, h)
            continue
        wins = error < best.error
        if wins.any():
            value = np.where(wins, entry, best.value)
            rounding = np.where(wins, noise, best.noise)
            best = Derivative(value, np.where(wins, error, best.error), rounding, h)
    assert best is not None
    return best


def _fixed(curve: Curve, eps: float) -> Derivative:
    (d, _, noise), (half, _, _) = _central(curve, eps), _central(curve, eps / 2)
    return Derivative(d, np.abs(d - half) + noise / eps, noise, eps)
