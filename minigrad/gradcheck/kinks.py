"""Kinks: points where the slope jumps, so that there is no derivative to compare with.

relu at 0, a maximum with ties, abs at 0, clip at its ends. A central difference there is the mean
of two slopes and says nothing. So kinked coordinates are found (by halving: a group of coordinates
whose joint direction has a jump is split until one is left), taken out of the comparison, and
judged by what is true at a kink: a subgradient lies between the left and the right slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.gradcheck import differences
from minigrad.gradcheck.compare import Coordinates, coordinates
from minigrad.gradcheck.point import Point, Walk
from minigrad.gradcheck.problem import Arrays

NEAREST = 2.0**-42  # of a coordinate's scale: a kink nearer than this is at the point
MOST = 64  # kinks located one by one; beyond, the rest of the group is taken as kinked


@dataclass
class Kink:
    """A coordinate with two slopes, and what the vjp returned there."""

    argument: int
    index: tuple[int, ...]
    left: float
    right: float
    gradient: float

    def is_subgradient(self) -> bool:
        """Whether the vjp's value is one of the slopes or lies between them."""
        low, high = sorted((self.left, self.right))
        slack = 1e-5 * max(abs(low), abs(high))
        return low - slack <= self.gradient <= high + slack


def has_kink(point: Point, us: Arrays, vs: Arrays, grads: Arrays) -> bool:
    """Whether F = <u, f> has a jump of slope along v, at the point.

    E(h) / h is followed down to where rounding begins: at a kink it stays. Curvature and a kink
    beside the point shrink with h and vanish, a pole beside the point grows until then.
    """
    walk = Walk(point, us, vs)
    noise = 100 * (point.noise(us, grads) + point.hidden(us))
    size = np.sqrt(sum(float(np.sum(np.square(g * v))) for g, v in zip(grads, vs, strict=True)))
    h = differences.KINK_STEP
    slope = max(size, float(np.abs(walk(h)[0][0])) / h)
    bend, seen = differences.bend(walk, h * differences.SHRINK), False
    while h > NEAREST:
        wider, bend = bend, differences.bend(walk, h)
        if not np.isfinite(bend):
            return False
        if abs(bend) <= 1e-5 * slope + noise / h:
            return seen and abs(bend) > abs(wider) / 2
        seen = True
        h /= differences.SHRINK
    return abs(wider) / 2 < abs(bend) < abs(wider) * 2


def find(point: Point, rng: np.random.Generator) -> tuple[Arrays, list[Kink]]:
    """(masks of kinked coordinates, up to MOST of them in detail)."""
    masks = [np.zeros(s.shape, dtype=bool) for s in point.wide]
    everything = coordinates(point)
    found: list[Kink] = []
    us = point.cotangents(rng)
    grads = point.pullback(us)
    groups = [everything]
    while groups:
        group = groups.pop()
        vs = _group_direction(point, group, rng)
        if not has_kink(point, us, vs, grads):
            continue
        if len(group) == 1 or len(found) >= MOST:
            for i, index in group:
                masks[i][index] = True
        if len(group) == 1:
            found.append(_describe(point, us, grads, *group[0]))
        elif len(found) < MOST:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
    return masks, found


def _group_direction(point: Point, group: Coordinates, rng: np.random.Generator) -> Arrays:
    vs = [np.zeros_like(s) for s in point.wide]
    for i, index in group:
        vs[i][index] = point.wide[i][index] * rng.uniform(0.5, 1.5) * rng.choice([-1.0, 1.0])
    return vs


def _describe(point: Point, us: Arrays, grads: Arrays, i: int, index: tuple[int, ...]) -> Kink:
    vs = [np.zeros_like(s) for s in point.wide]
    scale = vs[i][index] = point.wide[i][index]
    left, right = (float(s[0] / scale) for s in differences.one_sided(Walk(point, us, vs)))
    return Kink(i, index, left, right, float(grads[i][index]))
