"""Derivatives from differences, with an estimate of their own error.

A central difference D(h) = (F(h) - F(-h)) / 2h is wrong in two ways: its truncation error shrinks
like h^2, its rounding error grows like eps |F| / h. No single h suits every function, so h runs
from large to small, and at each the last few D are combined so that the h^2, h^4, ... terms cancel
(Richardson extrapolation). Where two combinations agree best is the plateau; by how much they
disagree is the error estimate. Source: Ridders 1982.

Two D can agree and both be wrong: where F is flat on either side and changes only near 0 (a softmax
of large numbers), every long step gives 0. What the central difference leaves out tells: the even
part E(h) = F(h) + F(-h) - 2 F(0) is h^2 F'' where F is smooth, 1/16 of itself at the next step. One
that has not even halved is a change that the step leaps over, or rounding; D may be off by E / 2h.

The same samples tell a kink: E(h) / h vanishes with h where F is smooth; at a kink it stays, and is
the jump of the slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LARGEST, SHRINK, LEVELS = 0.1, 4.0, 11  # h = 0.1, 0.025, ... 1e-7, the first inside the domain
SMALLEST = 1e-14
WINDOW = 4  # levels combined: larger h than these are forgotten (a kink may lie between)
KINK_STEP = LARGEST / SHRINK**8  # 1.5e-6: a kink nearer than this is "at" the point
EPS = float(np.finfo(np.float64).eps)

Curve = Callable[[float], np.ndarray]  # t -> F(t) - F(0), an array (1,) or (n,)


@dataclass
class Derivative:
    """value, error: dF/dt at 0 and how far it may be off, arrays.  step: h of the best entry."""

    value: np.ndarray
    error: np.ndarray
    step: float


def differentiate(
    curve: Curve, noise: float, target: float, eps: float | None = None
) -> Derivative:
    """Derivative of a curve at 0.

    noise: rounding error of one sample.  target: stop once the estimated error is below.
    eps: a fixed step instead of the search.
    """
    if eps is not None:
        return _fixed(curve, noise, eps)
    best: Derivative | None = None
    rows: list[list[np.ndarray]] = []
    h, level = LARGEST, 0
    even = np.zeros(())
    while level < LEVELS and h > SMALLEST:
        right, left = curve(h), curve(-h)
        d, wider, even = (right - left) / (2 * h), even, np.abs(right + left)
        if not np.isfinite(d).all():  # stepped out of the domain: a smaller h may stay inside
            rows.clear()
            h /= SHRINK
            continue
        level += 1
        row = [d]
        for j in range(1, min(len(rows) + 1, WINDOW)):
            row.append(row[-1] + (row[-1] - rows[-1][j - 1]) / (SHRINK ** (2 * j) - 1))
        if rows:
            unexplained = np.where(even > wider / 2, even, 0) / (2 * h)
            best = _better(best, row, rows[-1], noise / h + unexplained, h)
            if len(rows) > 1 and best is not None and best.error.max(initial=0) <= target:
                return best
        rows.append(row)
        h /= SHRINK
    if best is None:
        nothing = np.full_like(curve(0.0), np.nan)
        return Derivative(nothing, nothing + np.inf, h)
    return best


def kink_jump(curve: Curve) -> np.ndarray:
    """Jump of the slope at 0: about 0 for a smooth curve, right minus left slope at a kink."""
    fine, coarse = _bend(curve, KINK_STEP), _bend(curve, KINK_STEP * SHRINK)
    jump = (SHRINK * fine - coarse) / (SHRINK - 1)  # the term h F'' cancels
    return np.where(np.abs(fine) > np.abs(coarse) / 2, jump, 0.0)  # what shrinks is curvature


def one_sided(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """(left, right) slopes at 0."""
    slopes = []
    for sign in (-1.0, 1.0):
        fine, coarse = (sign * curve(sign * h) / h for h in (KINK_STEP, KINK_STEP * SHRINK))
        slopes.append((SHRINK * fine - coarse) / (SHRINK - 1))
    return slopes[0], slopes[1]


def _central(curve: Curve, h: float) -> np.ndarray:
    return (curve(h) - curve(-h)) / (2 * h)


def _bend(curve: Curve, h: float) -> np.ndarray:
    return (curve(h) + curve(-h)) / h


def _better(
    best: Derivative | None,
    row: list[np.ndarray],
    before: list[np.ndarray],
    noise: np.ndarray,
    h: float,
) -> Derivative | None:
    """The entry of least estimated error, element by element, of `best` and this row."""
    for j, entry in enumerate(row):
        error = np.abs(entry - before[j]) if j < len(before) else np.zeros_like(entry)
        if j:
            error = np.maximum(np.abs(entry - row[j - 1]), np.abs(entry - before[j - 1]))
        error = error + noise
        if best is None:
            best = Derivative(entry, error, h)
            continue
        wins = error < best.error
        if wins.any():
            value = np.where(wins, entry, best.value)
            best = Derivative(value, np.where(wins, error, best.error), h)
    return best


def _fixed(curve: Curve, noise: float, eps: float) -> Derivative:
    d, half = _central(curve, eps), _central(curve, eps / 2)
    return Derivative(d, np.abs(d - half) + noise / eps, eps)
