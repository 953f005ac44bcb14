"""Before anybody is accused: how rough are F and its gradient really?

The rounding that a sample of F is charged with is that of its outputs. What f rounds inside can be
more: logsumexp(x) - x[t] is 4e-13 in steps of 4e-15 where x is 30. And a right gradient is rounded
too: 1 - tanh(x)^2 at 18 has one digit. Neither can be known from outside, but both can be measured.
A smooth curve over the few steps around the point is a polynomial of degree 6 to all digits; what
is left of 16 samples after the best such polynomial is taken away is roughness. A wrong gradient is
as smooth as a right one and finds no excuse here. Source: the idea of measuring noise by taking
smooth parts away, Hamming 1971 and More and Wild 2011. Nor does one that jumps: what is excused is
at most ROUGH times the rounding of what was added up.

Two more things that differences do not see. Between two steps of its rounding F is flat, and a
flat F says only that it changes by less than such a step, which is bounded (Point.hidden). And
where outputs of very different size are added up, dx_i = y_i (dy_i - <dy, y>) may lose in the
largest what it owes to the smallest; F, of which only the small ones move, has not lost it. So the
gradient is asked for these alone.

Only where a gradient would be accused; the wrong gradients on purpose are judged by the same, so
one that is only rounding ends as vacuous, and one that agrees keeps its sharp edge.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from minigrad.gradcheck.differences import LARGEST, Curve, Derivative, differentiate, mixed
from minigrad.gradcheck.point import Column, Point, Walk, norm
from minigrad.gradcheck.problem import Arrays

if TYPE_CHECKING:
    from minigrad.gradcheck.compare import Comparison

SAMPLES, DEGREE = 16, 6
TIMES = 2.0  # the largest of a few errors, from their root mean square
FARTHER = (64.0, 4096.0)
ROUGH = 1024.0  # times the rounding of what was added up; what is rougher jumps
BLUNT = 1e-3  # relative error from which differences say little

NODES = np.cos(np.pi * (np.arange(SAMPLES) + 0.5) / SAMPLES)
SMOOTH = np.linalg.qr(np.polynomial.chebyshev.chebvander(NODES, DEGREE))[0]  # (SAMPLES, DEGREE + 1)


def roughness(samples: np.ndarray) -> np.ndarray:
    """Root mean square of what no polynomial follows; 0 where a sample is not finite.

    samples: (SAMPLES, ...) values at NODES.  Returns (...).
    """
    values = samples.reshape(SAMPLES, -1)
    rest = values - SMOOTH @ (SMOOTH.T @ values)
    rough = np.sqrt(np.square(rest).sum(0) / (SAMPLES - DEGREE - 1))
    return np.where(np.isfinite(rough), rough, 0.0).reshape(samples.shape[1:])


def nearer(claims: np.ndarray, near: Derivative, wide: Derivative) -> np.ndarray:
    """Where near steps are to be believed, and not wide ones.

    They are harder to deceive, unless they are blunt; but where wide ones see nothing above their
    own error either, they may have leapt over what is there. All arrays are of one shape.
    """
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(claims), np.abs(near.value))
        unknown = ~np.isfinite(wide.error) | ~np.isfinite(wide.value)
        sharp = near.error <= np.maximum(BLUNT * size, wide.error)
        agrees = np.abs(claims - near.value) <= 3 * near.error
        nothing = [np.abs(d.value) <= 3 * d.error for d in (wide, near)]
        return unknown | sharp | nothing[0] & (agrees | nothing[1])


def directional(walk: Walk, i: int, numeric: Derivative) -> tuple[np.ndarray, Derivative]:
    """(gradient, slope) along a walk, the slope's error widened by what rounding can do.

    i: the argument that moves.  The gradient is that of the outputs that move, if what it owes to
    the others is less than could be seen in them, and if the two are the whole but for rounding:
    a backward that is not linear in its cotangent is no backward.
    """
    point, v = walk.point, walk.vs[i]
    hidden = point.hidden(walk.us, 1.0)
    again = _again(walk, numeric, point.left, np.array([hidden]))
    moving = [np.where(m, u, 0.0) for m, u in zip(walk.moved, walk.us, strict=True)]
    still = [np.where(m, 0.0, u) for m, u in zip(walk.moved, walk.us, strict=True)]
    whole, grad, rest = (point.pullback(us)[i] for us in (walk.us, moving, still))

    def rounded(us: Arrays) -> float:
        terms = [u * np.where(ok, y, 0) for u, y, ok in
                 zip(us, point.ys, point.counted, strict=True)]
        return (point.rounding * norm(terms) + hidden) / LARGEST

    if abs(float(np.sum((whole - grad - rest) * v))) > rounded(walk.us):
        grad = whole
    elif abs(float(np.sum(rest * v))) > rounded(still):
        grad = grad + rest
    most = rounded(walk.us) + point.rounding * norm([whole * v]) / LARGEST
    rough = min(TIMES * norm([_gradient(point, moving, walk.vs, i, again.step) * v]), ROUGH * most)
    terms = [g * w for g, w in zip(point.pullback(walk.us), point.wide, strict=True)]
    lost = _drowned(again, point.rounding * norm(terms))
    return grad, replace(again, error=again.error + rough + lost)


def column(
    point: Point, walk: Column, i: int, index: tuple[int, ...], numeric: Derivative,
    claims: np.ndarray,
) -> Derivative:
    """The same for one coordinate and every output (outputs,).  claims: the gradients given."""
    hidden = point.hidden([np.ones(())], 1.0)
    near = float(point.near[i][index])
    numeric, moved = _again(walk, numeric, point.left, np.array(hidden / walk.scale)), walk.moved
    if near != walk.scale:
        closer = Column(point, i, index, near)
        numeric_near = differentiate(closer, None, point.left)
        other = _again(closer, numeric_near, point.left, np.array(hidden / near))
        wins = nearer(claims, other, numeric)
        numeric, moved = mixed(wins, other, numeric), np.where(wins, closer.moved, moved)
    least = (point.rounding * np.abs(walk.ys) + hidden) / (LARGEST * near)
    unseen = np.minimum(np.abs(claims), least)
    return replace(numeric, error=numeric.error + np.where(moved, 0.0, unseen))


def row(c: Comparison) -> Derivative:
    """One output's slopes along every coordinate, widened by the roughness of its gradient."""
    vs = c.point.zeros()
    vs[c.argument] = np.where(c.on, c.point.wide[c.argument], 0.0)
    rough = TIMES * _gradient(c.point, c.us, vs, c.argument, c.numeric.step)[c.on]
    wide = c.point.wide[c.argument][c.on]
    most = c.point.hidden(c.us, 1.0) + c.point.rounding * norm([c.grad[c.on] * wide])
    rough = np.minimum(rough, ROUGH * (most / LARGEST + c.numeric.noise * wide) / wide)
    lost = _drowned(c.numeric, c.point.rounding * norm([c.grad[c.on] * wide]) / wide)
    return replace(c.numeric, error=c.numeric.error + rough + lost)


def _drowned(numeric: Derivative, size: np.ndarray | float) -> np.ndarray:
    """What may be lost where differences see nothing: the last digit of a sum of larger terms.

    Beside a pole with 1e34 a slope of 1e10 shows at no step, and a step that leaps over the place
    where it is 1e10 is no evidence that it is 0.
    """
    return np.where(np.abs(numeric.value) <= 3 * numeric.error, size, 0.0)


def _again(
    walk: Walk | Column, numeric: Derivative, left: float, hidden: np.ndarray
) -> Derivative:
    """Differences of a curve once more, each sample charged with its measured roughness.

    hidden: a bound of it. A curve that is flat within its steps of rounding is charged with that,
    and up to that with what shows over longer distances only: steps are rare over short ones.
    """
    h = numeric.step
    samples = np.array([walk(h * t)[0] for t in NODES])
    rough = np.where(samples.any(axis=0), TIMES * roughness(samples), hidden)
    for longer in FARTHER:
        if h * longer < LARGEST:
            farther = TIMES * roughness(np.array([walk(h * longer * t)[0] for t in NODES]))
            rough = np.maximum(rough, np.minimum(farther, hidden))

    def curve(t: float) -> tuple[np.ndarray, np.ndarray]:
        value, noise = walk(t)
        return value, noise + rough

    rougher: Curve = curve
    return differentiate(rougher, None, left)


def _gradient(point: Point, us: Arrays, vs: Arrays, i: int, h: float) -> np.ndarray:
    """Roughness of each element of argument i's gradient, along vs and as far as h."""
    samples = []
    for t in h * NODES:
        xs = [x + t * v for x, v in zip(point.problem.xs, vs, strict=True)]
        samples.append(point.pullback(us, xs)[i])
    return roughness(np.array(samples))
