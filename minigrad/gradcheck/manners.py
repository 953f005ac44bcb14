"""What a backward must keep to whatever its numbers are.

A graph calls many backwards, in an order that none of them knows, and hands one array to several.
So a backward gives the same answer twice, to its own arguments and not to those of whichever
forward came last; it writes to no dy, argument or output, and to nothing that it has returned; and
it is linear in dy, since dx = J^T dy. Each is asked here once, before anything is measured: numbers
at one point do not show that somebody else's are destroyed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.gradcheck.point import Point, norm
from minigrad.gradcheck.problem import Arrays, WroteTo
from minigrad.gradcheck.suspects import shape_suspect

FACTORS = (-(2.0**40), 2.0**-40)  # powers of two: linear to the last digit
CLOSE = 1e-9  # of the norm, for what is not


class BadManners(Exception):
    """What the backward did, in one sentence."""


def check(point: Point, rng: np.random.Generator) -> list[np.ndarray | None]:
    """The gradients for one cotangent, if f and its backward keep to the rules.

    Raises BadManners.
    """
    problem = point.problem
    before = [x.copy() for x in problem.xs]
    again = [y.astype(np.float64) for y in problem.evaluate(problem.xs)]
    if not _same(point.ys, again):
        raise BadManners("f gave two results for the same arguments: fix its random numbers")
    us = point.cotangents(rng)
    grads = _pullback(point, us)
    if not _same(problem.xs, before):
        raise BadManners("f wrote to an argument")
    for name, x, g in zip(problem.names, problem.xs, grads, strict=True):
        if g is not None and g.shape != x.shape:
            hint = shape_suspect(g.shape, x.shape)
            raise BadManners(f"the gradient of {name} {x.shape} has shape {g.shape}: {hint}")
    kept = [None if g is None else g.copy() for g in grads]
    if not _same(kept, _pullback(point, us)):
        raise BadManners("backward gave two results for the same dy")
    beside = [x + v / 8 for x, v in
              zip(problem.xs, [point.direction(i, rng) for i in range(len(before))], strict=True)]
    if not _same(kept, _pullback(point, us, beside)):
        raise BadManners(
            "backward answers for the x of the last forward, not for its own: after another "
            "forward the gradient is a different one; keep x in the closure, not in a place that "
            "the next forward overwrites"
        )
    for factor in FACTORS:
        if not _linear(kept, _pullback(point, [u * factor for u in us]), factor):
            raise BadManners(
                f"backward is not linear in dy: for {factor:g} dy it does not return {factor:g} dx"
            )
    if not _same(kept, grads):
        raise BadManners("backward wrote to a gradient that it had returned before")
    return kept


def _pullback(point: Point, us: Arrays, between: Arrays | None = None) -> list[np.ndarray | None]:
    try:
        return point.problem.pullback(point.problem.xs, us, between)[1]
    except WroteTo as error:
        why = {"dy": "which may be the gradient of another operation too: copy it first"}.get(
            str(error), "which others still read: copy it first"
        )
        raise BadManners(f"backward wrote to {error}, {why}") from error


def _same(first: Sequence[np.ndarray | None], second: Sequence[np.ndarray | None]) -> bool:
    """Whether two lists of arrays hold the same values, nan included."""
    return all(
        a is b if a is None or b is None else np.array_equal(a, b, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )


def _linear(grads: list[np.ndarray | None], scaled: list[np.ndarray | None], factor: float) -> bool:
    for g, s in zip(grads, scaled, strict=True):
        if g is None or s is None:
            if g is not s:
                return False
            continue
        usable = np.isfinite(g) & np.isfinite(s / factor) & (np.abs(g) > 1e-290)
        off = (s / factor - g)[usable]
        if norm([off]) > CLOSE * norm([g[usable]]):
            return False
    return True
