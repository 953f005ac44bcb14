"""Where a check takes place, and the steps that it takes from there.

Each coordinate has two rulers. The wide one is |x|, but at least the array's own size or 1: for
functions that are as smooth around 0 as elsewhere. The near one is |x| itself: for log at 1e-300,
or wherever 0 is a pole. Both are powers of two, and a direction has five binary digits, so that
x + h v is a float64 without rounding: a step is exactly as long as the division by it says.

Read next: compare.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from minigrad.gradcheck.differences import EPS, SMOOTH
from minigrad.gradcheck.problem import Arrays, Problem

TINY = 1e-322  # what a number below 1e-308 is rounded to, whatever its size
BESIDE = 2.0**-16  # of a coordinate's scale: near enough for every kink but one at the point


@dataclass
class Tolerance:
    """allowed = atol + rtol * (norm of the terms compared) + 3 * (estimated error of N)."""

    atol: float
    rtol: float


@dataclass
class Point:
    """What every comparison at one place shares.

    eps: a fixed step, or None.  left: see differences.differentiate.
    rounding: of f, relative: float64's, or float32's where f was found to round to that.
    ys: outputs at xs.  counted: which of them are finite; the others get cotangent 0.
    wide, near: size of a step in each coordinate; wide is 0 where a coordinate is switched off.
    """

    problem: Problem
    tolerance: Tolerance
    eps: float | None
    left: float = SMOOTH
    rounding: float = EPS
    ys: Arrays = field(init=False)
    counted: Arrays = field(init=False)
    wide: Arrays = field(init=False)
    near: Arrays = field(init=False)

    def __post_init__(self) -> None:
        self.ys = [y.astype(np.float64) for y in self.problem.evaluate(self.problem.xs)]
        self.counted = [np.isfinite(y) for y in self.ys]
        self.wide = [_wide(x) for x in self.problem.xs]
        self.near = [_power_of_two(x, w) for x, w in zip(self.problem.xs, self.wide, strict=True)]

    def without(self, masks: Arrays) -> Point:
        """The same point with the coordinates where a mask holds switched off."""
        point = replace(self)
        point.wide = [np.where(m, 0.0, w) for m, w in zip(masks, self.wide, strict=True)]
        return point

    def beside(self, rng: np.random.Generator) -> Point | None:
        """A point close by, with random digits; None where other outputs are finite there."""
        xs = [
            x + np.where(n > 0, BESIDE * n * _random(x.shape, rng), 0.0)
            for x, n in zip(self.problem.xs, self.near, strict=True)
        ]
        with np.errstate(all="ignore"):
            point = replace(self, problem=replace(self.problem, xs=xs))
        point.wide = [np.where(w > 0, p, 0.0) for w, p in zip(self.wide, point.wide, strict=True)]
        same = [np.array_equal(a, b) for a, b in zip(self.counted, point.counted, strict=True)]
        return point if all(same) else None

    def cotangents(self, rng: np.random.Generator) -> Arrays:
        """Random, every element between 1/2 and 3/2 in size: none is close to not being tested."""
        return [_random(y.shape, rng) * ok for y, ok in zip(self.ys, self.counted, strict=True)]

    def levelled(self, us: Arrays, vs: Arrays) -> Arrays:
        """Cotangents that weigh each output by how far it moves along v.

        f(x) = (x, 1e-9 x^2) hides its second output behind the first, unless they weigh the same.
        What moves 1e-10 times less than the largest counts as not moving: it may be rounding.
        """
        moves = [np.abs(d) for d in self.moved(vs, 2.0**-10)]
        largest = max((float(m.max(initial=0)) for m in moves), default=0.0)
        if not 0 < largest < np.inf:
            return us
        return [
            u * np.where(m > 1e-10 * largest, largest / np.maximum(m, 1e-10 * largest), 1.0)
            for u, m in zip(us, moves, strict=True)
        ]

    def direction(self, argument: int, rng: np.random.Generator) -> np.ndarray:
        """Random, between 1/2 and 3/2 wide steps in each coordinate, in sixteenths."""
        scale = self.wide[argument]
        return rng.choice([-1.0, 1.0], scale.shape) * rng.integers(8, 25, scale.shape) / 16 * scale

    def zeros(self) -> Arrays:
        """No step in any coordinate."""
        return [np.zeros_like(w) for w in self.wide]

    def moved(self, vs: Arrays, t: float) -> Arrays:
        """f(x + t v) - f(x), 0 where f(x) is not finite."""
        with np.errstate(all="ignore"):
            xs = [x + t * v for x, v in zip(self.problem.xs, vs, strict=True)]
            ys = self.problem.evaluate(xs)
            return [
                np.where(ok, y - y0, 0.0)
                for y, y0, ok in zip(ys, self.ys, self.counted, strict=True)
            ]

    def pullback(self, us: Arrays, xs: Arrays | None = None) -> Arrays:
        """Gradients, here or at other xs; None becomes zeros.  The shapes are the vjp's own."""
        xs = self.problem.xs if xs is None else xs
        _, grads = self.problem.pullback(xs, us)
        return [
            np.zeros_like(x) if g is None else np.asarray(g, dtype=np.float64)
            for g, x in zip(grads, xs, strict=True)
        ]

    def noise(self, us: Arrays, grads: Arrays) -> float:
        """Rounding error of one sample of F: of its terms, and of the steps of its inputs."""
        terms = [np.where(ok, u * y, 0) for u, y, ok in zip(us, self.ys, self.counted, strict=True)]
        inputs = [
            np.where(w > 0, g * np.where(np.isfinite(x), x, 0), 0)
            for g, x, w in zip(grads, self.problem.xs, self.wide, strict=True)
        ]
        return self.rounding * (norm(terms) + norm(inputs))

    def hidden(self, us: Arrays, least: float = 0.0) -> float:
        """Rounding inside f that its outputs do not show, if numbers there are as large as inputs.

        logsumexp(x) - x[t] is small where each of the two is large, and so is dp - <dp, p> in the
        backward of a softmax: a bound and no measure (doubt.py measures).
        least: the size of numbers to be expected all the same, as the 1 in 1 + tanh.
        """
        sizes = [np.abs(x[np.isfinite(x)]) for x in self.problem.xs]
        return self.rounding * max(least, *(float(s.max(initial=0)) for s in sizes)) * norm(us)


class Walk:
    """t -> (<u, f(x + t v) - f(x)>, its rounding), each of shape (1,).

    moved: which outputs have changed so far. One that never does adds no rounding either, however
    large it is: what x1 does to y1 = x1^2 is not drowned by y2 = 1e12.
    """

    def __init__(self, point: Point, us: Arrays, vs: Arrays):
        self.point, self.us, self.vs = point, us, vs
        self.moved = [np.zeros(u.shape, dtype=bool) for u in us]

    def __call__(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        changes = self.point.moved(self.vs, t)
        total, rounded = 0.0, []
        for u, d, y, moved in zip(self.us, changes, self.point.ys, self.moved, strict=True):
            moved |= (d != 0) & (u != 0)
            total += float(np.sum(u * d, where=moved))
            size = np.maximum(np.abs(y), np.abs(y + d))
            rounded.append(np.where(moved, u * size, 0.0))
        return np.array([total]), np.array([self.point.rounding * norm(rounded) + TINY])


class Column:
    """t -> (change of every output, its rounding) as one coordinate moves, over its scale."""

    def __init__(self, point: Point, argument: int, index: tuple[int, ...], scale: float):
        self.point, self.scale = point, scale
        self.vs = point.zeros()
        self.vs[argument][index] = scale
        self.ys = flat([np.where(ok, y, 0) for y, ok in zip(point.ys, point.counted, strict=True)])
        self.moved = np.zeros(self.ys.shape, dtype=bool)

    def __call__(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        d = flat(self.point.moved(self.vs, t))
        self.moved |= d != 0
        size = np.where(self.moved, np.maximum(np.abs(self.ys), np.abs(self.ys + d)), 0)
        return d / self.scale, (self.point.rounding * size + TINY) / self.scale


def flat(arrays: Arrays) -> np.ndarray:
    """All elements in one vector."""
    return np.concatenate([np.asarray(a, dtype=np.float64).reshape(-1) for a in arrays])


def norm(arrays: Arrays) -> float:
    """Of all elements together; squares of 1e200 or 1e-200 are not formed."""
    largest = max((float(np.abs(a).max(initial=0.0)) for a in arrays), default=0.0)
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.sqrt(sum(float(np.sum(np.square(a / largest))) for a in arrays)))


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _wide(x: np.ndarray) -> np.ndarray:
    """|x|, but at least the array's own size or 1, as a power of two; 0 if infinite."""
    finite = np.isfinite(x)
    size = np.where(finite, np.abs(x), 0.0)
    floor = min(1.0, float(size.max(initial=0.0))) or 1.0
    return np.where(finite, _power_of_two(np.maximum(size, floor), 1.0), 0.0)


def _power_of_two(x: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
    """The largest power of two up to |x|; `otherwise` where x is 0 or infinite."""
    usable = np.isfinite(x) & (x != 0)
    exponent = np.frexp(np.where(usable, x, 1.0))[1] - 1
    return np.where(usable, np.ldexp(1.0, exponent), otherwise)
