"""Where a failed comparison is wrong: the element furthest off, and the pattern of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.gradcheck.compare import Comparison, Point
from minigrad.gradcheck.differences import differentiate
from minigrad.gradcheck.report import Worst
from minigrad.gradcheck.suspects import suspect

Indices = Sequence[Sequence[int]] | np.ndarray  # (number of them, axes)
EXAMINED = 4096  # coordinates at most differentiated one by one


def worst_element(point: Point, c: Comparison) -> Worst:
    """The coordinate of c's argument whose gradient is furthest from differences."""
    if c.on.sum() > EXAMINED:
        return _by_halving(point, c)
    right = np.full(c.on.shape, np.nan)
    for index in map(tuple, np.argwhere(c.on)):
        right[index] = _slope(point, c, [index])
    off = np.abs(c.grad - right) * point.scales[c.argument]
    off = np.where(c.on, np.where(np.isnan(off), np.inf, off), -1.0)
    index = tuple(int(n) for n in np.unravel_index(int(off.argmax()), off.shape))
    return _worst(point, c, index, float(right[index]), suspect(c.grad, right))


def _by_halving(point: Point, c: Comparison) -> Worst:
    """Keep the half of the coordinates that disagrees more, down to one."""
    group = np.argwhere(c.on)
    while len(group) > 1:
        halves = np.array_split(group, 2)
        gaps = [abs(_slope(point, c, half) - _predicted(point, c, half)) for half in halves]
        group = halves[int(np.argmax(gaps))]
    hint = "found by halving; check a smaller example to see the pattern of the error"
    return _worst(point, c, tuple(group[0]), _slope(point, c, group), hint)


def _slope(point: Point, c: Comparison, group: Indices) -> float:
    """Slope of F, by differences, when the coordinates of a group move together."""
    vs = [np.zeros_like(s) for s in point.scales]
    vs[c.argument] = _step(point, c, group)
    target = 1e-9 * c.scale(c.grad)
    slope = float(differentiate(point.curve(c.us, vs), c.noise, target, point.eps).value[0])
    return slope / float(vs[c.argument].max()) if len(group) == 1 else slope


def _predicted(point: Point, c: Comparison, group: Indices) -> float:
    slope = float(np.sum(c.grad * _step(point, c, group)))
    return slope / float(_step(point, c, group).max()) if len(group) == 1 else slope


def _step(point: Point, c: Comparison, group: Indices) -> np.ndarray:
    step = np.zeros_like(point.scales[c.argument])
    where = tuple(np.array(group).T)
    step[where] = point.scales[c.argument][where]
    return step


def _worst(point: Point, c: Comparison, index: Sequence[int], right: float, hint: str) -> Worst:
    place = tuple(int(n) for n in index)
    return Worst(point.problem.names[c.argument], place, float(c.grad[place]), right, hint)
