"""Second order: is the gradient right in the neighbourhood too, as the gradient of one function?

minigrad's backward closures compute with arrays and leave no graph, so there is no backward of a
backward to check, and none is claimed. What is checked is the Hessian of F = <u, f> as differences
of the gradient show it: along random v and w
    v . (H w) = w . (H v)              a gradient field is symmetric
    v . (H v) = d^2 F / dv^2           it belongs to F: second differences of f itself
A backward that is right at the point but wrong around it fails here.

Where f is saturated a Hessian can be nothing but rounding, so what separates the two sides is held
against the estimated errors of the differences, never against the Hessian alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.gradcheck import differences
from minigrad.gradcheck.point import Point, Walk, flat
from minigrad.gradcheck.problem import Arrays
from minigrad.gradcheck.report import GradReport

RTOL = 1e-5  # second differences of f reach about eps^(1/2)


@dataclass
class Curvature:
    """Three measures of the same Hessian: what separates them, and how far that may be rounding.

    asymmetry: |w . (H v) - v . (H w)|.  mismatch: |v . (H v) - d^2 F / dv^2|.
    size: of the terms added up.  error: estimated, of the differences.
    """

    asymmetry: float
    mismatch: float
    size: float
    error: float

    @property
    def allowed(self) -> float:
        """How far apart they may be."""
        return RTOL * self.size + 3 * self.error

    def agrees(self) -> bool:
        """Whether they are one Hessian (nan never is)."""
        return self.asymmetry <= self.allowed and self.mismatch <= self.allowed

    def tells(self) -> bool:
        """Whether the differences are sharp enough to tell."""
        return self.allowed <= 0.1 * self.size


def compare(report: GradReport, point: Point, rng: np.random.Generator) -> None:
    """Add the second-order comparison to a report of an otherwise good check."""
    us = point.cotangents(rng)
    vs, ws = ([point.direction(i, rng) for i in range(len(point.wide))] for _ in range(2))
    found = _measure(point, us, vs, ws, 0.0)
    if found is not None and not found.agrees():
        found = _measure(point, us, vs, ws, point.hidden(us))
    if found is None:
        report.status = "failed"
        report.notes.append("second order: the gradient is not finite around the point")
        return
    if found.size <= 1e-8 * _inner_size(point.pullback(us), vs):
        report.notes.append(
            "second order not tested: the gradient does not change around this point (f is "
            "linear here in every argument)"
        )
        return
    if not found.tells():
        report.notes.append("second order not tested: f is too flat here for second differences")
        return
    asymmetry, mismatch, allowed = (
        x / found.size for x in (found.asymmetry, found.mismatch, found.allowed)
    )
    report.notes.append(
        f"second order, by differences of the gradient: asymmetry {asymmetry:.2g}, against second "
        f"differences of f {mismatch:.2g}, allowed {allowed:.2g}"
    )
    if not found.agrees():
        report.status = "failed"


def _measure(point: Point, us: Arrays, vs: Arrays, ws: Arrays, hidden: float) -> Curvature | None:
    """H along v and w.  hidden: rounding that the outputs do not show; None if not finite."""
    hv, hw = _hessian(point, us, vs, hidden), _hessian(point, us, ws, hidden)
    if hv is None or hw is None:
        return None
    bend, bend_error = _second_slope(point, us, vs, hidden)
    v, w = flat(vs), flat(ws)
    terms = (w * hv.value, v * hw.value, v * hv.value, np.array([bend]))
    # What H is off by in each element, the inner products are off by in the norm.
    errors = (w * hv.error, v * hw.error, v * hv.error)
    return Curvature(
        asymmetry=abs(float(w @ hv.value - v @ hw.value)),
        mismatch=abs(float(v @ hv.value) - bend),
        size=max(float(np.linalg.norm(t)) for t in terms),
        error=bend_error + max(float(np.linalg.norm(e)) for e in errors),
    )


def _hessian(point: Point, us: Arrays, vs: Arrays, hidden: float) -> differences.Derivative | None:
    """H v, flat: how the gradient of <u, f> changes along v; None if it is not finite."""
    base = flat(point.pullback(us))
    size = float(np.linalg.norm(base))

    # A gradient is known to delta = eps |g| + hidden, its difference (g(h) - g(-h)) / 2h to
    # delta / h. So <w, H v> is known to |w| delta / h, and one below that is rounding.
    noise = np.array(differences.EPS * size + hidden)

    def curve(t: float) -> tuple[np.ndarray, np.ndarray]:
        xs = [x + t * v for x, v in zip(point.problem.xs, vs, strict=True)]
        return flat(point.pullback(us, xs)) - base, noise

    result = differences.differentiate(curve)
    return result if np.isfinite(result.value).all() else None


def _second_slope(point: Point, us: Arrays, vs: Arrays, hidden: float) -> tuple[float, float]:
    """(d^2 F / dv^2, its error): (F(h) + F(-h) - 2 F(0)) / h^2 for several h, extrapolated."""
    walk = Walk(point, us, vs)
    rows: list[list[float]] = []
    best, least, h = np.nan, np.inf, differences.LARGEST
    noise = point.noise(us, point.pullback(us)) + hidden
    even = 0.0
    for _ in range(10):
        wider, even = even, float((walk(h)[0] + walk(-h)[0])[0])
        if abs(even) > abs(wider) / 2:
            rows.clear()  # what changes, changes within this step: see differences.py
        row = [even / h**2]  # known to noise / h^2, which is why h stays long
        for j in range(1, len(rows) + 1):
            row.append(row[-1] + (row[-1] - rows[-1][j - 1]) / (differences.SHRINK ** (2 * j) - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - rows[-1][j - 1])) + noise / h**2
            if error < least:
                best, least = row[-1], error
        rows = rows + [row] if np.isfinite(even) else []
        h /= differences.SHRINK
    return best, least


def _inner_size(a: Arrays, b: Arrays) -> float:
    return float(np.linalg.norm(flat(a) * flat(b)))
