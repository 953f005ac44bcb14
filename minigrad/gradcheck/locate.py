"""Where a failed comparison is wrong: the element furthest off, and the pattern of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.gradcheck.compare import Comparison
from minigrad.gradcheck.differences import differentiate
from minigrad.gradcheck.doubt import BLUNT
from minigrad.gradcheck.point import Walk
from minigrad.gradcheck.report import Worst
from minigrad.gradcheck.suspects import suspect

Indices = Sequence[Sequence[int]] | np.ndarray  # (number of them, axes)
EXAMINED = 4096  # coordinates at most differentiated one by one


def worst_element(c: Comparison) -> Worst:
    """The coordinate of c's argument whose gradient is furthest from differences."""
    if c.on.sum() > EXAMINED:
        return _by_halving(c)
    right = np.full(c.on.shape, np.nan)
    for index in map(tuple, np.argwhere(c.on)):
        right[index] = _element(c, index)
    off = np.abs(c.grad - right) * c.point.wide[c.argument]
    off = np.where(c.on, np.where(np.isnan(off), np.inf, off), -1.0)
    index = tuple(int(n) for n in np.unravel_index(int(off.argmax()), off.shape))
    return _worst(c, index, float(right[index]), suspect(c.grad, right))


def _by_halving(c: Comparison) -> Worst:
    """Keep the half of the coordinates that disagrees more, down to one."""
    group = np.argwhere(c.on)
    while len(group) > 1:
        halves = np.array_split(group, 2)
        gaps = [abs(_slope(c, half) - _predicted(c, half)) for half in halves]
        group = halves[int(np.argmax(gaps))]
    hint = "found by halving; check a smaller example to see the pattern of the error"
    index = tuple(group[0])
    return _worst(c, index, _element(c, index), hint)


def _element(c: Comparison, index: tuple[int, ...]) -> float:
    """Derivative of F by one coordinate, in wide steps or, where these are blunt, in near ones."""
    best, least = np.nan, np.inf
    for scales in (c.point.wide, c.point.near):
        scale = float(scales[c.argument][index])
        vs = c.point.zeros()
        vs[c.argument][index] = scale
        found = differentiate(Walk(c.point, c.us, vs), c.point.eps, c.point.left)
        value, error = float(found.value[0]) / scale, float(found.error[0]) / scale
        if error <= max(least, BLUNT * abs(value)):
            best, least = value, error
    return best


def _slope(c: Comparison, group: Indices) -> float:
    """Slope of F, by differences, when the coordinates of a group move together."""
    vs = c.point.zeros()
    vs[c.argument] = _step(c, group)
    return float(differentiate(Walk(c.point, c.us, vs), c.point.eps, c.point.left).value[0])


def _predicted(c: Comparison, group: Indices) -> float:
    return float(np.sum(c.grad * _step(c, group)))


def _step(c: Comparison, group: Indices) -> np.ndarray:
    whole = c.point.wide[c.argument] if c.weights is None else c.weights
    step = np.zeros_like(whole)
    where = tuple(np.array(group).T)
    step[where] = whole[where]
    return step


def _worst(c: Comparison, index: Sequence[int], right: float, hint: str) -> Worst:
    place = tuple(int(n) for n in index)
    return Worst(c.point.problem.names[c.argument], place, float(c.grad[place]), right, hint)
