"""float32: where it is meant, it is compared; where it is not, it is said.

Differences in float32 are useless (eps^(2/3) is 2e-5 at best, usually 1e-3), so nobody takes them:
float64 is checked with differences, and an op that computes in float32 is held to its own float64
version.

An f that casts to float32 inside is neither: it climbs in steps of 6e-8, and no difference of it
says whether a gradient is right to 1e-7. `suspicion` looks for the cast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.gradcheck.point import Point, Walk
from minigrad.gradcheck.problem import Arrays, from_tensors
from minigrad.gradcheck.report import GradReport
from minigrad.gradcheck.trees import array, is_float, leaves

RTOL = 1e-4  # of the largest element: float32 rounds at 6e-8, sums of thousands reach 1e-5
STAIR, LONG = 2.0**-34, 2.0**-12  # of x's scale: a stair of float32 is 2^-24 wide
HINT = (
    "precision loss suspected, a cast to float32 inside: compute in the dtype of the arguments (to "
    "check a float32 version, pass float32 arguments to one that follows their dtype)"
)


FLOAT32 = 2.0**-23


def suspicion(point: Point, before: Arrays, rng: np.random.Generator) -> str | None:
    """What gives a cast to float32 inside f or its backward away; None if nothing does.

    point: one whose coordinates have random digits (Point.beside).  before: outputs at the one
        beside which it is; those that hardly move have no random digits.
    A number with random digits has 29 more of them than float32 holds: that a float64 result ends
    in 29 zeros does not happen by chance, unless large numbers have cancelled to a small one.
    """
    us = point.cotangents(rng)
    grads = point.pullback(us)
    least = 1e-5 * max(1.0, *(float(np.abs(x[np.isfinite(x)]).max(initial=0))
                              for x in point.problem.xs))
    if _on_the_grid([y[(np.abs(y - y0) > 1e-9 * np.abs(y)) & (np.abs(y) > least)]
                     for y, y0 in zip(point.ys, before, strict=True)]):
        return f"f gives float32 numbers for float64 arguments: {HINT}"
    if _on_the_grid([g[np.abs(g) > 1e-5] for g in grads]):
        return f"backward gives float32 numbers for a float64 dy: {HINT}"
    for i, wide in enumerate(point.wide):
        if (wide > 0).any() and _stairs(point, us, grads, i, rng):
            return f"f climbs in steps as x moves by 1e-10 of itself: {HINT}"
    return None


def _on_the_grid(arrays: Arrays) -> bool:
    """Whether there are numbers, and all of them have a float32's digits."""
    with np.errstate(over="ignore", under="ignore"):
        return any(a.size for a in arrays) and all(
            np.array_equal(a, a.astype(np.float32).astype(np.float64)) for a in arrays
        )


def _stairs(
    point: Point, us: Arrays, grads: Arrays, i: int, rng: np.random.Generator
) -> bool:
    """Whether F is a clean line within a stair, and its gradient that of the whole staircase.

    Rounding makes no clean line, a pole or a kink near the point no line at all, and a gradient
    that is wrong is neither slope.
    """
    vs = point.zeros()
    vs[i] = point.direction(i, rng)
    walk = Walk(point, us, vs)
    walk(2.0**-10)  # what moves at all, rounds
    claimed = float(np.sum(grads[i] * vs[i]))

    def line(ts: np.ndarray) -> tuple[float, float, float]:
        """(slope, what is off the line, rounding) of samples at ts."""
        samples = [walk(t) for t in ts]
        changes = np.array([float(change[0]) for change, _ in samples])
        slope = float(changes @ ts / (ts @ ts))
        noise = max(point.hidden(us, 1.0), *(float(rounding[0]) for _, rounding in samples))
        return slope, float(np.abs(changes - slope * ts).max()), noise

    slope, _, noise = line(np.array([-STAIR, STAIR]))
    if not abs(slope - claimed) > 1e-2 * abs(claimed) + 64 * noise / STAIR:
        return False
    _, off, noise = line(STAIR * np.linspace(-1, 1, 9))
    whole, _, _ = line(np.array([-LONG, LONG]))
    return off <= 8 * noise and abs(whole - claimed) <= 0.1 * abs(slope - claimed)


def compare(report: GradReport, f: Callable[..., Any], args: Sequence[Any], rtol: float) -> None:
    """Run f and its backward in float32 too, if that is what the arguments were."""
    floats = [array(leaf) for _, leaf in leaves(tuple(args)) if is_float(leaf)]
    if report.status == "failed" or any(x.dtype != np.float32 for x in floats):
        return
    double, single = from_tensors(f, args), from_tensors(f, args, np.float32)
    rng = np.random.default_rng(report.seed)
    dys = [
        np.float32(rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape))
        for y in double.evaluate(double.xs)
    ]
    outputs, gradients = double.pullback(double.xs, list(dys))
    outputs32, gradients32 = single.pullback(single.xs, list(dys))
    pairs: list[tuple[str, np.ndarray | None, np.ndarray | None]]
    pairs = [(f"output {i}", a, b) for i, (a, b) in enumerate(zip(outputs, outputs32, strict=True))]
    pairs += [
        (f"the gradient of {name}", a, b)
        for name, a, b in zip(double.names, gradients, gradients32, strict=True)
    ]
    worst = 0.0
    for name, right, got in pairs:
        if right is None or got is None or not right.size:
            continue
        error = relative_error(got, right)
        worst = max(worst, error)
        if not error <= rtol:
            report.status = "failed"
            report.notes.append(
                f"float32: {name} differs from float64 by {error:.2g} of its largest element, "
                f"allowed {rtol:.2g}"
            )
    if report.status != "failed":
        report.notes.append(f"float32 agrees with float64 to {worst:.2g}, allowed {rtol:.2g}")


def relative_error(got: np.ndarray, right: np.ndarray) -> float:
    """Largest |got - right| over the largest |right|; inf where one is finite and one is not."""
    finite = np.isfinite(right)
    same = np.array_equal(np.isfinite(got), finite) and np.array_equal(got[~finite], right[~finite])
    if not same and not (np.isnan(got) == np.isnan(right)).all():
        return float("inf")
    size = float(np.abs(right[finite]).max(initial=0))
    off = float(np.abs(got[finite] - right[finite]).max(initial=0))
    return off / size if size else off
