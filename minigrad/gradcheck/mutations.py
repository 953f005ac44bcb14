"""Wrong gradients on purpose: would the check have noticed?

A check that passes says something only if it could have failed. So after the comparison the same
numbers are compared again with gradients made wrong in the ways that people get them wrong. The
differences do not depend on the gradient under test, so this costs a few inner products.
Source: the idea is mutation analysis, DeMillo, Lipton and Sayward 1978.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.gradcheck.compare import Comparison

SCALE = 1 + 1e-3
KINDS = ("zero", "sign", "scaled", "dropped", "transposed")
NEGLIGIBLE = 1e-4  # a change smaller than this part of the gradient's norm is no mutation


def mutate(kind: str, grad: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One wrong version of a gradient, of the same shape.

    zero; sign: flipped; scaled: by 1 + 1e-3; dropped: one element missing; transposed: the last
    two axes' elements in the order of the transpose.  A kind that does not change this gradient
    (a vector transposed) returns it equal.
    """
    if kind == "zero":
        return np.zeros_like(grad)
    if kind == "sign":
        return -grad
    if kind == "scaled":
        return grad * grad.dtype.type(SCALE)
    if kind == "dropped":
        wrong = grad.copy()
        if grad.size:
            wrong[_one_of_the_larger(grad, rng)] = 0
        return wrong
    if kind == "transposed":
        if grad.ndim < 2:
            return grad.copy()
        return np.ascontiguousarray(grad.swapaxes(-1, -2)).reshape(grad.shape)
    raise ValueError(f"unknown mutation {kind!r}; choose from {', '.join(KINDS)}")


def _one_of_the_larger(grad: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
    """A random element among those above the median size (missing a zero is no mistake)."""
    size = np.abs(np.nan_to_num(grad))
    candidates = np.argwhere((size >= np.median(size)) & (size > 0))
    if not len(candidates):
        return (0,) * grad.ndim
    return tuple(int(n) for n in rng.choice(candidates))


def trials(comparisons: list[Comparison], rng: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """(kind, caught) for each mutation of the gradient of one argument.

    comparisons: all of that argument.  A kind that changes nothing here is not tried; if none is
    left, the gradient is zero and the check compared nothing with nothing.
    """
    for kind in KINDS:
        changed = caught = False
        for c in comparisons:
            wrong = mutate(kind, c.grad, rng)
            if c.size(wrong - c.grad) > NEGLIGIBLE * c.size(c.grad) + 10 * c.noise:
                changed = True
                caught = caught or not c.accepts(wrong)
        if changed:
            yield kind, caught
