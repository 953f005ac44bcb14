"""One comparison of a vector-Jacobian product with differences.

A cotangent u makes the function scalar, F(x) = <u, f(x)>, and the vjp says g = dF/dx. Differences
can follow F along a random direction v (one number, <g, v>) or along every coordinate (all of g).
`Comparison` holds either and answers the only question: would these gradients be accepted?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from minigrad.gradcheck import differences
from minigrad.gradcheck.problem import Arrays, Problem

Coordinates = list[tuple[int, tuple[int, ...]]]  # (argument, index in it)


@dataclass
class Tolerance:
    """allowed = atol + rtol * (norm of the terms compared) + 3 * (estimated error of N)."""

    atol: float
    rtol: float


@dataclass
class Point:
    """Where the check takes place, and what every comparison there shares.

    ys: outputs at xs.  scales: size of a step in each coordinate; 0 switches a coordinate off.
    counted: which outputs are finite; the others get cotangent 0.
    """

    problem: Problem
    tolerance: Tolerance
    eps: float | None
    ys: Arrays = field(default_factory=list)
    scales: Arrays = field(default_factory=list)
    counted: Arrays = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ys = [y.astype(np.float64) for y in self.problem.evaluate(self.problem.xs)]
        self.counted = [np.isfinite(y) for y in self.ys]
        self.scales = [_scale(x) for x in self.problem.xs]

    def without(self, masks: Arrays) -> Point:
        """The same point with the coordinates where a mask holds switched off."""
        point = Point(self.problem, self.tolerance, self.eps)
        point.scales = [np.where(m, 0.0, s) for m, s in zip(masks, self.scales, strict=True)]
        return point

    def cotangents(self, rng: np.random.Generator) -> Arrays:
        """Random, every element between 1/2 and 3/2 in size: none is close to not being tested."""
        return [_random(y.shape, rng) * ok for y, ok in zip(self.ys, self.counted, strict=True)]

    def direction(self, argument: int, rng: np.random.Generator) -> np.ndarray:
        """Random in the same way, in units of each coordinate's scale."""
        scale = self.scales[argument]
        return _random(scale.shape, rng) * scale

    def curve(self, us: Arrays, vs: Arrays) -> differences.Curve:
        """t -> <u, f(x + t v) - f(x)>, shape (1,)."""

        def sample(t: float) -> np.ndarray:
            return np.array([sum(_dot(u, d) for u, d in zip(us, self.moved(vs, t), strict=True))])

        return sample

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
        """Rounding error of one sample of F: of its terms, and of x + t v itself."""
        terms = [np.where(ok, u * y, 0) for u, y, ok in zip(us, self.ys, self.counted, strict=True)]
        inputs = [
            np.where(s > 0, g * np.where(np.isfinite(x), x, 0), 0)
            for g, x, s in zip(grads, self.problem.xs, self.scales, strict=True)
        ]
        return differences.EPS * (_norm(terms) + _norm(inputs))

    def hidden(self, us: Arrays) -> float:
        """Rounding inside f that its outputs do not show, if numbers there are as large as inputs.

        logsumexp(x) - x[t] is small where each of the two is large, and so is dp - <dp, p> in the
        backward of a softmax. A sample of F and an element of its gradient may be off by this: a
        bound and no measure, so it is asked only where a gradient would be accused.
        """
        sizes = [np.abs(x[np.isfinite(x)]) for x in self.problem.xs]
        largest = max(float(size.max(initial=0.0)) for size in sizes)
        return differences.EPS * largest * _norm(us)


@dataclass
class Comparison:
    """One argument's gradient, for one cotangent, against differences.

    argument: which.  us: the cotangent.  grad: what the vjp returned.
    weights: (argument's shape), the direction; or None when every coordinate is compared.
    on: (argument's shape) bool, the coordinates taking part.
    numeric: the slope along the direction (1,), or that of each coordinate (number on,).
    noise: rounding error of one sample of F.
    """

    argument: int
    us: Arrays
    grad: np.ndarray
    weights: np.ndarray | None
    on: np.ndarray
    numeric: differences.Derivative
    noise: float
    tolerance: Tolerance

    def project(self, grad: np.ndarray) -> np.ndarray:
        """The numbers that a gradient predicts: <grad, v>, or grad itself."""
        terms = self._terms(grad)
        return terms if self.weights is None else np.array([terms.sum()])

    def size(self, grad: np.ndarray) -> float:
        """Norm of the terms that the comparison adds up."""
        return float(np.linalg.norm(self._terms(grad)))

    def scale(self, grad: np.ndarray) -> float:
        """What the relative tolerance is relative to."""
        return max(self.size(grad), float(np.linalg.norm(self.numeric.value)))

    def allowed(self, grad: np.ndarray) -> np.ndarray:
        """How far the numbers may be apart."""
        relative = self.tolerance.rtol * self.scale(grad)
        return self.tolerance.atol + relative + 3 * self.numeric.error

    def gap(self, grad: np.ndarray) -> np.ndarray:
        """How far they are apart."""
        return np.abs(self.project(grad) - self.numeric.value)

    def accepts(self, grad: np.ndarray) -> bool:
        """Whether the check would pass this gradient (nan and inf never pass)."""
        with np.errstate(invalid="ignore", over="ignore"):
            gap, allowed = self.gap(grad), self.allowed(grad)
            return bool((np.isfinite(allowed) & (gap <= allowed)).all())

    def relative(self, what: np.ndarray) -> float:
        """The largest of some gaps, as a part of the scale; 0 where all there is is rounding."""
        scale = self.scale(self.grad)
        return float(what.max(initial=0)) / scale if scale > 1e3 * self.noise else 0.0

    def doubted(self, hidden: float, scale: np.ndarray) -> Comparison:
        """The same comparison where F and its gradient are only known to `hidden`.

        scale: (argument's shape), step in each coordinate.
        """
        if self.weights is None:
            error = hidden / (self.numeric.step * scale[self.on]) + hidden
        else:
            error = hidden / self.numeric.step + hidden * float(np.linalg.norm(self.weights))
        numeric = replace(self.numeric, error=self.numeric.error + error)
        return replace(self, numeric=numeric, noise=self.noise + hidden)

    def _terms(self, grad: np.ndarray) -> np.ndarray:
        return grad[self.on] if self.weights is None else grad[self.on] * self.weights[self.on]


def along(point: Point, us: Arrays, rng: np.random.Generator) -> list[Comparison]:
    """For each argument, compare <g, v> with the slope of F along a random direction v."""
    comparisons = []
    grads = point.pullback(us)
    noise = point.noise(us, grads)
    for i, on in enumerate(s > 0 for s in point.scales):
        if not on.any():
            continue
        vs = [np.zeros_like(s) for s in point.scales]
        vs[i] = point.direction(i, rng)
        size = float(np.linalg.norm(np.where(on, grads[i] * vs[i], 0)))
        target = 0.01 * point.tolerance.rtol * size
        numeric = differences.differentiate(point.curve(us, vs), noise, target, point.eps)
        c = Comparison(i, us, grads[i], vs[i], on, numeric, noise, point.tolerance)
        comparisons.append(_benefit_of_the_doubt(point, c))
    return comparisons


def everywhere(point: Point) -> list[Comparison]:
    """Compare every entry of the Jacobian: for each output element, all of each argument."""
    where = coordinates(point)
    columns = [_column(point, i, index) for i, index in where]  # each (outputs,)
    comparisons = []
    for j, us in enumerate(_unit_cotangents(point)):
        grads = point.pullback(us)
        noise = point.noise(us, grads)
        for i, scale in enumerate(point.scales):
            mine = [c for c, (argument, _) in zip(columns, where, strict=True) if argument == i]
            if not mine:
                continue
            numeric = differences.Derivative(
                np.array([c.value[j] for c in mine]),
                np.array([c.error[j] for c in mine]),
                min(c.step for c in mine),
            )
            c = Comparison(i, us, grads[i], None, scale > 0, numeric, noise, point.tolerance)
            comparisons.append(_benefit_of_the_doubt(point, c))
    return comparisons


def _benefit_of_the_doubt(point: Point, c: Comparison) -> Comparison:
    """A comparison that fails, widened by what rounding inside f could do.

    Mutants are judged by the same, so a gradient that is only rounding ends as vacuous. One that
    agrees with the differences keeps their sharp edge.
    """
    if c.accepts(c.grad):
        return c
    return c.doubted(point.hidden(c.us), point.scales[c.argument])


def coordinates(point: Point) -> Coordinates:
    """(argument, index) of every coordinate that is on, in the order `project` lists them."""
    return [
        (i, tuple(int(n) for n in index))
        for i, s in enumerate(point.scales)
        for index in np.argwhere(s > 0)
    ]


def _column(point: Point, argument: int, index: tuple[int, ...]) -> differences.Derivative:
    """d(all outputs)/d(one coordinate)."""
    vs = [np.zeros_like(s) for s in point.scales]
    scale = vs[argument][index] = point.scales[argument][index]

    def curve(t: float) -> np.ndarray:
        return np.concatenate([d.reshape(-1) for d in point.moved(vs, t)]) / scale

    noise = differences.EPS * _norm(
        [np.where(ok, y, 0) for y, ok in zip(point.ys, point.counted, strict=True)]
    )
    size = float(np.linalg.norm(curve(1e-3))) / 1e-3
    target = 0.01 * point.tolerance.rtol * size if np.isfinite(size) else 0.0
    return differences.differentiate(curve, noise / scale, target, point.eps)


def _unit_cotangents(point: Point) -> Iterator[Arrays]:
    for i, y in enumerate(point.ys):
        for index in np.ndindex(y.shape):
            us = [np.zeros_like(y) for y in point.ys]
            us[i][index] = 1.0 if point.counted[i][index] else 0.0
            yield us


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _scale(x: np.ndarray) -> np.ndarray:
    """Step size of each coordinate: |x|, but at least the array's own size or 1; 0 if infinite."""
    finite = np.isfinite(x)
    size = np.where(finite, np.abs(x), 0.0)
    floor = min(1.0, float(size.max(initial=0.0))) or 1.0
    return np.where(finite, np.maximum(size, floor), 0.0)


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """<a, b>, where an element of b that is off counts nothing even if a is nan there."""
    return float(np.sum(a * b, where=b != 0))


def _norm(arrays: Arrays) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays)))
