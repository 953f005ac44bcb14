"""One comparison of a vector-Jacobian product with differences.

A cotangent u makes the function scalar, F(x) = <u, f(x)>, and the vjp says g = dF/dx. Differences
can follow F along a random direction v (one number, <g, v>) or along every coordinate (all of g).
`Comparison` holds either and answers the only question: would these gradients be accepted?

A sum of terms hides those that are 1e8 times smaller than the largest, so along v the coordinates
are also compared in bands, each of terms of one size; among all coordinates each stands alone.

Read next: doubt.py, for the comparisons that fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from minigrad.gradcheck import doubt
from minigrad.gradcheck.differences import Derivative, differentiate, mixed
from minigrad.gradcheck.point import Column, Point, Walk, norm
from minigrad.gradcheck.problem import Arrays

Coordinates = list[tuple[int, tuple[int, ...]]]  # (argument, index in it)
BAND = 1e-4  # terms within this of a band's largest are told apart by RTOL = 1e-7
BANDS = 6  # at most; what is smaller still goes into the last one


@dataclass
class Comparison:
    """One argument's gradient, for one cotangent, against differences.

    point: where.  argument: which.  us: the cotangent.  grad: what the vjp returned.
    weights: (argument's shape), the direction; or None when every coordinate is compared.
    on: (argument's shape) bool, the coordinates taking part.
    numeric: the slope along the direction (1,), or that of each coordinate (number on,).
    """

    point: Point
    argument: int
    us: Arrays
    grad: np.ndarray
    weights: np.ndarray | None
    on: np.ndarray
    numeric: Derivative

    def project(self, grad: np.ndarray) -> np.ndarray:
        """The numbers that a gradient predicts: <grad, v>, or grad itself."""
        terms = self._terms(grad)
        return terms if self.weights is None else np.array([terms.sum()])

    def size(self, grad: np.ndarray) -> float:
        """Norm of the terms that the comparison adds up."""
        return norm([self._terms(grad)])

    def scale(self, grad: np.ndarray) -> np.ndarray:
        """What the relative tolerance is relative to: the terms added up, or each coordinate."""
        terms = self._terms(grad)
        size = np.abs(terms) if self.weights is None else np.array([norm([terms])])
        return np.maximum(size, np.abs(self.numeric.value))

    def allowed(self, grad: np.ndarray) -> np.ndarray:
        """How far the numbers may be apart."""
        relative = self.point.tolerance.rtol * self.scale(grad)
        return self.point.tolerance.atol + relative + 3 * self.numeric.error

    def gap(self, grad: np.ndarray) -> np.ndarray:
        """How far they are apart."""
        return np.abs(self.project(grad) - self.numeric.value)

    def fits(self, grad: np.ndarray) -> np.ndarray:
        """Which of the numbers are close enough (nan and inf never are)."""
        with np.errstate(invalid="ignore", over="ignore"):
            gap, allowed = self.gap(grad), self.allowed(grad)
            return np.isfinite(allowed) & (gap <= allowed)

    def accepts(self, grad: np.ndarray) -> bool:
        """Whether the check would pass this gradient."""
        return bool(self.fits(grad).all())

    def relative(self, what: np.ndarray) -> float:
        """The largest of some gaps, relative to the scale; 0 where all there is is rounding."""
        scale = self.scale(self.grad)
        told = scale > 1e3 * self.numeric.noise
        return float(np.max(what[told] / scale[told], initial=0.0))

    @property
    def noise(self) -> float:
        """Rounding error of one sample, or what it would be if every output had moved."""
        terms = [u * np.where(np.isfinite(y), y, 0)
                 for u, y in zip(self.us, self.point.ys, strict=True)]
        of_all = self.point.rounding * norm(terms)
        if self.weights is None:  # slopes and no changes along v
            of_all /= float(self.point.wide[self.argument].max())
        return max(of_all, float(np.nan_to_num(self.numeric.noise).max(initial=0.0)))

    def _terms(self, grad: np.ndarray) -> np.ndarray:
        return grad[self.on] if self.weights is None else grad[self.on] * self.weights[self.on]


def along(point: Point, us: Arrays, rng: np.random.Generator, bands: bool) -> list[Comparison]:
    """For each argument, compare <g, v> with the slope of F along a random direction v.

    bands: also along directions that hold only terms of about one size.
    """
    comparisons = []
    grads = point.pullback(us)
    for i, on in enumerate(w > 0 for w in point.wide):
        if not on.any():
            continue
        v = point.direction(i, rng)
        comparisons += _directional(point, us, grads, i, v)
        parts = list(_bands(np.abs(grads[i] * v), on)) if bands else []
        if len(parts) > 1:
            for part in parts:
                comparisons += _directional(point, us, grads, i, np.where(part, v, 0.0))
    return comparisons


def _bands(terms: np.ndarray, on: np.ndarray) -> Iterator[np.ndarray]:
    """Masks that part the coordinates by the size of their terms, largest first."""
    wild = on & ~np.isfinite(terms)
    if wild.any():
        yield wild
    rest = on & ~wild
    for _ in range(BANDS - 1):
        largest = float(terms[rest].max(initial=0.0))
        if not largest:
            break
        band = rest & (terms > BAND * largest)
        yield band
        rest &= ~band
    if rest.any():
        yield rest


def _directional(
    point: Point, us: Arrays, grads: Arrays, i: int, v: np.ndarray
) -> list[Comparison]:
    """Along v; where that would be an accusation, part by part, in near steps, and doubted."""
    c, walk = _walk(point, us, grads, i, v)
    if c.accepts(c.grad) or point.eps is not None:
        return [c]
    ruler = point.near[i] / np.where(point.wide[i] > 0, point.wide[i], 1.0)
    if (ruler == 1)[v != 0].all():
        return [_doubted(c, walk)]
    found = []
    for part in _bands(np.abs(grads[i] * v * ruler), v != 0):  # near steps weigh terms anew
        c, walk = _walk(point, us, grads, i, np.where(part, v, 0.0))
        other, near = _walk(point, us, grads, i, np.where(part, v * ruler, 0.0))
        if not c.accepts(c.grad) and doubt.nearer(
            c.project(c.grad), other.numeric, c.numeric
        ).all():
            c, walk = other, near
        found.append(_doubted(c, walk))
    return found


def _doubted(c: Comparison, walk: Walk) -> Comparison:
    """The same, or with wider errors where it would be an accusation."""
    if c.accepts(c.grad):
        return c
    grad, numeric = doubt.directional(walk, c.argument, c.numeric)
    return replace(c, grad=grad, numeric=numeric)


def _walk(
    point: Point, us: Arrays, grads: Arrays, i: int, v: np.ndarray
) -> tuple[Comparison, Walk]:
    vs = point.zeros()
    vs[i] = v
    walk = Walk(point, us, vs)
    numeric = differentiate(walk, point.eps, point.left)
    return Comparison(point, i, us, grads[i], v, v != 0, numeric), walk


def everywhere(point: Point) -> list[Comparison]:
    """Compare every entry of the Jacobian: for each output element, all of each argument."""
    comparisons = []
    for i, wide in enumerate(point.wide):
        indices = [tuple(int(n) for n in index) for index in np.argwhere(wide > 0)]
        if not indices:
            continue
        rows = list(_unit_cotangents(point))
        grads = [point.pullback(us)[i] for us in rows]
        walks = [Column(point, i, index, float(wide[index])) for index in indices]
        columns = [differentiate(walk, point.eps, point.left) for walk in walks]
        found = _rows(point, i, rows, grads, columns)
        for attempt in (_nearer, doubt.column) if point.eps is None else ():
            wrong = np.array([~c.fits(c.grad) for c in found])  # (outputs, coordinates)
            for k in np.flatnonzero(wrong.any(axis=0)):
                claims = np.array([g[indices[k]] for g in grads])
                again = attempt(point, walks[k], i, indices[k], columns[k], claims)
                columns[k] = mixed(wrong[:, k], again, columns[k])
            found = _rows(point, i, rows, grads, columns)
        if point.eps is None:
            found = [c if c.accepts(c.grad) else replace(c, numeric=doubt.row(c)) for c in found]
        comparisons += found
    return comparisons


def _nearer(
    point: Point, walk: Column, i: int, index: tuple[int, ...], numeric: Derivative,
    claims: np.ndarray,
) -> Derivative:
    """A column in near steps, for the outputs where these are no blunter."""
    closer = Column(point, i, index, float(point.near[i][index]))
    if closer.scale == walk.scale:
        return numeric
    other = differentiate(closer, None, point.left)
    return mixed(doubt.nearer(claims, other, numeric), other, numeric)


def _rows(
    point: Point, i: int, rows: list[Arrays], grads: Arrays, columns: list[Derivative]
) -> list[Comparison]:
    """One comparison for each output, of all coordinates of argument i."""
    return [
        Comparison(
            point, i, us, grad, None, point.wide[i] > 0,
            Derivative(
                np.array([c.value[j] for c in columns]), np.array([c.error[j] for c in columns]),
                np.array([c.noise[j] for c in columns]), min(c.step for c in columns),
            ),
        )
        for j, (us, grad) in enumerate(zip(rows, grads, strict=True))
    ]


def coordinates(point: Point) -> Coordinates:
    """(argument, index) of every coordinate that is on."""
    return [
        (i, tuple(int(n) for n in index))
        for i, w in enumerate(point.wide)
        for index in np.argwhere(w > 0)
    ]


def _unit_cotangents(point: Point) -> Iterator[Arrays]:
    for i, y in enumerate(point.ys):
        for index in np.ndindex(y.shape):
            us = [np.zeros_like(y) for y in point.ys]
            us[i][index] = 1.0 if point.counted[i][index] else 0.0
            yield us
