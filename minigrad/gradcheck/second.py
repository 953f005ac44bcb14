"""Second order: is the gradient right in the neighbourhood too, as the gradient of one function?

minigrad's backward closures compute with arrays and leave no graph, so there is no backward of a
backward to check, and none is claimed. What is checked is the Hessian of F = <u, f> as differences
of the gradient show it: along random v and w
    v . (H w) = w . (H v)              a gradient field is symmetric
    v . (H v) = d^2 F / dv^2           it belongs to F: second differences of f itself
A backward that is right at the point but wrong around it fails here.
"""

from __future__ import annotations

import numpy as np

from minigrad.gradcheck import differences
from minigrad.gradcheck.compare import Point
from minigrad.gradcheck.problem import Arrays
from minigrad.gradcheck.report import GradReport

RTOL = 1e-5  # second differences of f reach about eps^(1/2)


def compare(report: GradReport, point: Point, rng: np.random.Generator) -> None:
    """Add the second-order comparison to a report of an otherwise good check."""
    us = point.cotangents(rng)
    vs, ws = ([point.direction(i, rng) for i in range(len(point.scales))] for _ in range(2))
    hv, hw = _hessian(point, us, vs), _hessian(point, us, ws)
    if hv is None or hw is None:
        report.status = "failed"
        report.notes.append("second order: the gradient is not finite around the point")
        return
    bend, bend_error = _second_slope(point, us, vs)
    size = max(_inner_size(ws, hv), _inner_size(vs, hw), _inner_size(vs, hv), abs(bend))
    floor = 1e-8 * _inner_size(point.pullback(us), vs)
    if size <= floor:
        report.notes.append(
            "second order not tested: the gradient does not change around this point (f is "
            "linear here in every argument)"
        )
        return
    asymmetry = abs(_inner(ws, hv) - _inner(vs, hw)) / size
    mismatch = abs(_inner(vs, hv) - bend) / size
    allowed = RTOL + 3 * bend_error / size
    if allowed > 0.1:
        report.notes.append("second order not tested: f is too flat here for second differences")
        return
    report.notes.append(
        f"second order, by differences of the gradient: asymmetry {asymmetry:.2g}, against second "
        f"differences of f {mismatch:.2g}, allowed {allowed:.2g}"
    )
    if not max(asymmetry, mismatch) <= allowed:
        report.status = "failed"


def _hessian(point: Point, us: Arrays, vs: Arrays) -> Arrays | None:
    """H v: how the gradient of <u, f> changes along v."""
    base = _flat(point.pullback(us))

    def curve(t: float) -> np.ndarray:
        xs = [x + t * v for x, v in zip(point.problem.xs, vs, strict=True)]
        moved = Point(point.problem, point.tolerance, None)
        moved.scales = point.scales
        _, grads = point.problem.pullback(xs, us)
        full = [np.zeros_like(x) if g is None else g for g, x in zip(grads, xs, strict=True)]
        return _flat(full) - base

    size = float(np.linalg.norm(base))
    result = differences.differentiate(curve, differences.EPS * size, 1e-9 * size)
    if not np.isfinite(result.value).all():
        return None
    parts, start = [], 0
    for x in point.problem.xs:
        parts.append(result.value[start : start + x.size].reshape(x.shape))
        start += x.size
    return parts


def _second_slope(point: Point, us: Arrays, vs: Arrays) -> tuple[float, float]:
    """(d^2 F / dv^2, its error): (F(h) + F(-h) - 2 F(0)) / h^2 for several h, extrapolated."""
    curve = point.curve(us, vs)
    rows: list[list[float]] = []
    best, least, h = np.nan, np.inf, differences.LARGEST
    noise = point.noise(us, point.pullback(us))
    for _ in range(6):
        bend = float((curve(h) + curve(-h))[0]) / h**2
        row = [bend]
        for j in range(1, len(rows) + 1):
            row.append(row[-1] + (row[-1] - rows[-1][j - 1]) / (differences.SHRINK ** (2 * j) - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - rows[-1][j - 1])) + noise / h**2
            if error < least:
                best, least = row[-1], error
        rows = rows + [row] if np.isfinite(bend) else []
        h /= differences.SHRINK
    return best, least


def _flat(arrays: Arrays) -> np.ndarray:
    return np.concatenate([np.asarray(a, dtype=np.float64).reshape(-1) for a in arrays])


def _inner(a: Arrays, b: Arrays) -> float:
    return float(sum(float(np.sum(x * y)) for x, y in zip(a, b, strict=True)))


def _inner_size(a: Arrays, b: Arrays) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(x * y))) for x, y in zip(a, b, strict=True))))
