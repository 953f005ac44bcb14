"""Samplers of NumPy's vocabulary: elementwise functions, two operands, reductions, shapes.

Read next: registry.py, for the model's operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.testing.entries import Case, register
from minigrad.testing.source import EVERYWHERE, Source

# Elementwise


@register("neg", "everywhere", smooth=False)
@register("clone", "everywhere", smooth=False)
@register("tanh sigmoid silu softplus", "everywhere")
@register("gelu", "everywhere", "gelu_forward gelu_backward")
def _anywhere(s: Source) -> Case:
    return Case((s.array(s.shape(), EVERYWHERE),))


@register("abs relu", "everywhere, a kink at 0", smooth=False)
def _kinked(s: Source) -> Case:
    return Case((s.array(s.shape(), EVERYWHERE),))


@register("sin cos square", "everywhere; rounding grows with |x|")
def _ordinary(s: Source) -> Case:
    return Case((s.array(s.shape(), ("normal", "zeros", "ties")),))


@register("exp expm1", "below log(largest float)")
def _exp(s: Source) -> Case:
    return Case((s.array(s.shape(), ("normal", "zeros", "ties", "tiny")),))


@register("log sqrt log1p rsqrt reciprocal", "above 0")
def _positive(s: Source) -> Case:
    return Case((s.array(s.shape(), ("positive",)),))


@register("clip", "everywhere, kinks at both ends", smooth=False)
def _clip(s: Source) -> Case:
    low, high = s.choice([(-1.0, 1.0), (None, 0.5), (-0.5, None)])
    return Case((s.array(s.shape(), EVERYWHERE),), {"low": low, "high": high})


@register("astype", "everywhere", smooth=False)
def _astype(s: Source) -> Case:
    return Case((s.array(s.shape()),), {"dtype": np.float64})


# Two operands


@register("add sub", "everywhere", smooth=False)
@register("mul", "everywhere")
def _pair(s: Source) -> Case:
    a, b = s.broadcasting()
    return Case((s.array(a, EVERYWHERE), s.array(b, EVERYWHERE)))


@register("maximum minimum", "everywhere, a kink at ties", smooth=False)
def _extremes(s: Source) -> Case:
    a, b = s.broadcasting()
    return Case((s.array(a, ("normal", "ties")), s.array(b, ("normal", "ties"))))


@register("div", "divisor not 0")
def _div(s: Source) -> Case:
    a, b = s.broadcasting()
    return Case((s.array(a, EVERYWHERE), s.array(b, ("apart",))))


@register("pow", "base above 0")
def _pow(s: Source) -> Case:
    a, b = s.broadcasting()
    return Case((s.array(a, ("positive",)), s.array(b)))


@register("remainder", "a no multiple of b, where it jumps", smooth=False)
def _remainder(s: Source) -> Case:
    shape = s.shape()
    b = s.array(shape, ("apart",))
    whole, part = np.rint(3 * s.array(shape)), 0.5 + 0.3 * np.tanh(s.array(shape))
    return Case((b * (whole + part), b))


@register("mse_loss", "one shape")
def _mse_loss(s: Source) -> Case:
    shape = s.shape(zero=False)
    return Case((s.array(shape, ("normal", "ties")), s.array(shape)))


@register("where", "everywhere", smooth=False)
def _where(s: Source) -> Case:
    a, b = s.broadcasting()
    return Case(
        (_mask(s, np.broadcast_shapes(a, b)), s.array(a, EVERYWHERE), s.array(b, EVERYWHERE))
    )


@register("masked_fill", "everywhere", smooth=False)
def _masked_fill(s: Source) -> Case:
    shape = s.shape()
    return Case((s.array(shape), _mask(s, shape), -3.0))


def _mask(s: Source, shape: tuple[int, ...]) -> np.ndarray:
    """Booleans: every other one, or as it comes."""
    every_other = np.arange(int(np.prod(shape))).reshape(shape) % 2 == 0
    random = s.array(shape, ("ties",)) > 0
    return np.asarray(every_other if s.telling or s.flag() else random)


@register("matmul", "inner sizes equal", "matmul_forward matmul_backward")
def _matmul(s: Source) -> Case:
    m, k, n = s.size(), s.size(), s.size()
    if not s.telling and s.integer(0, 5) == 5:
        return Case((s.array((k,)), s.array((k, n))) if s.flag() else (s.array((k,)),) * 2)
    a, b = ((), ()) if s.flag() else s.broadcasting(zero=False)
    kinds = ("normal", "zeros", "ties", "huge")
    return Case((s.array((*a, m, k), kinds), s.array((*b, k, n), kinds)))


# Reductions and rearrangements


@register("sum mean", "everywhere", smooth=False)
@register("var", "everywhere")
def _reduce(s: Source) -> Case:
    shape = s.shape(1, 3, zero=False)
    return Case((s.array(shape, ("normal", "ties", "huge")),), _axes(s, shape))


@register("logsumexp", "everywhere")
def _logsumexp(s: Source) -> Case:
    shape = s.shape(1, 3, zero=False)
    x = s.array(shape, ("normal", "ties", "masked"))
    if np.isneginf(x).all():  # log 0 everywhere: nothing to differentiate
        x = np.zeros(shape)
    return Case((x,), _axes(s, shape))


@register("prod", "everywhere")
def _prod(s: Source) -> Case:
    shape = s.shape(1, 3, zero=False)
    return Case((s.array(shape, ("apart", "ties", "zeros")),), _axes(s, shape))


@register("std norm", "not all alike, not all 0: a cone's tip")
def _spread(s: Source) -> Case:
    shape = tuple(n + 1 for n in s.shape(1, 3, zero=False))
    return Case((s.array(shape, ("normal", "apart")),), _axes(s, shape))


@register("cumsum", "everywhere", smooth=False)
def _cumsum(s: Source) -> Case:
    return Case((s.array(s.shape(1, 3)),), {"axis": s.choice([0, -1])})


@register("max min", "everywhere, a kink at ties", smooth=False)
def _extreme(s: Source) -> Case:
    shape = s.shape(1, 3, zero=False)
    return Case((s.array(shape, ("normal", "ties", "zeros")),), _axes(s, shape))


def _axes(s: Source, shape: tuple[int, ...]) -> dict[str, Any]:
    options: list[Any] = [None, 0, -1, tuple(range(len(shape)))]
    return {"axis": s.choice(options), "keepdims": s.flag()}


@register("reshape", "same number of elements", smooth=False)
def _reshape(s: Source) -> Case:
    a, b, c = s.size(), s.size(), s.size()
    return Case((s.array((a, b, c)),), {"shape": s.choice([(a * b, c), (-1,), (c, b, a), (b, -1)])})


@register("permute", "everywhere", smooth=False)
def _permute(s: Source) -> Case:
    axes = s.choice([(0, 1, 2), (2, 0, 1), (1, 0, 2), (-1, 0, -2)])
    return Case((s.array((s.size(), s.size(), s.size(zero=True))),), {"axes": axes})


@register("flatten", "everywhere", smooth=False)
def _flatten(s: Source) -> Case:
    start, end = s.choice([(0, -1), (1, 2), (0, 1), (-1, 2)])
    return Case((s.array((s.size(), s.size(), s.size())),), {"start": start, "end": end})


@register("squeeze", "everywhere", smooth=False)
def _squeeze(s: Source) -> Case:
    return Case((s.array((s.size(), 1, s.size(), 1)),), {"axis": s.choice([1, None, (1, -1), 0])})


@register("unsqueeze", "everywhere", smooth=False)
def _unsqueeze(s: Source) -> Case:
    return Case((s.array(s.shape(1, 2)),), {"axis": s.choice([0, 1, -1, -2])})


@register("t", "two axes or fewer", smooth=False)
def _t(s: Source) -> Case:
    return Case((s.array(s.shape(0, 2)),))


@register("tile", "everywhere", smooth=False)
def _tile(s: Source) -> Case:
    return Case((s.array(s.shape(1, 2)),), {"repeats": s.choice([(2, 3), (3, 1, 2), (1, 2)])})


@register("flip", "everywhere", smooth=False)
def _flip(s: Source) -> Case:
    return Case((s.array((s.size(), s.size())),), {"axes": s.choice([(0,), (0, 1), (-1,)])})


@register("tril triu", "two axes or more", smooth=False)
def _triangle(s: Source) -> Case:
    return Case((s.array(s.shape(2, 3)),), {"k": s.choice([0, 1, -1])})


@register("pad", "everywhere", smooth=False)
def _pad(s: Source) -> Case:
    widths = s.choice([(1, 2), (0, 1, 2, 0), (0, 0)])
    return Case((s.array(s.shape(2, 3)),), {"widths": widths, "value": s.choice([0.0, -1.5])})


@register("gather", "indices in range", smooth=False)
def _gather(s: Source) -> Case:
    rows, columns = s.integer(2, 5), s.integer(2, 5)
    axis = s.choice([0, 1, -1])
    index = s.ids((3, columns) if axis == 0 else (rows, 3), rows if axis == 0 else columns)
    return Case((s.array((rows, columns)),), {"axis": axis, "index": index})


@register("einsum", "letters that fit")
def _einsum(s: Source) -> Case:
    equation, *terms = s.choice([
        ("ij,jk->ik", "ij", "jk"), ("bij,bjk->bik", "bij", "bjk"), ("ij,ij->", "ij", "ij"),
        ("i,j->ij", "i", "j"), ("ij->ji", "ij"), ("ii->i", "ii"), ("ij->j", "ij"), ("ii", "ii"),
        ("ij,j,j->i", "ij", "j", "j"), ("...j,kj->...k", "bij", "kj"), ("iij,j->i", "iij", "j"),
    ])
    size = {letter: s.size() for letter in "bijk"}
    return Case((equation, *[s.array(tuple([size[c] for c in term])) for term in terms]))


@register("swapaxes transpose", "everywhere", smooth=False)
def _swapaxes(s: Source) -> Case:
    x = s.array((s.size(), s.size(), s.size()))
    return Case((x, s.choice([0, 1, -1]), s.choice([-1, 0, 1])))


@register("broadcast_to", "shapes that broadcast", smooth=False)
def _broadcast_to(s: Source) -> Case:
    full = s.shape(zero=False)
    small = tuple(1 if s.flag() else n for n in full[s.integer(0, len(full)) :])
    return Case((s.array(small),), {"shape": full})


@register("concatenate", "same sizes but along the axis", smooth=False)
def _concatenate(s: Source) -> Case:
    rows, columns = s.size(), s.size()
    axis = s.choice([0, 1, -1])
    sizes = [s.size(zero=True) for _ in range(s.integer(1, 3))]
    shapes = [(n, columns) if axis == 0 else (rows, n) for n in sizes]
    return Case(([s.array(shape) for shape in shapes],), {"axis": axis})


@register("stack", "same shapes", smooth=False)
def _stack(s: Source) -> Case:
    shape = s.shape(1, 2)
    parts = [s.array(shape) for _ in range(s.integer(1, 3))]
    return Case((parts,), {"axis": s.choice([0, 1, -1])})


@register("split", "sizes that add up", smooth=False)
def _split(s: Source) -> Case:
    sizes = [s.size(zero=True) for _ in range(s.integer(1, 3))]
    return Case((s.array((s.size(), sum(sizes))), sizes), {"axis": 1})


@register("chunk", "everywhere", smooth=False)
def _chunk(s: Source) -> Case:
    shape = (s.integer(2, 7), s.size())
    return Case((s.array(shape),), {"sections": s.choice([2, 3, 1]), "axis": 0})


@register("unbind", "everywhere", smooth=False)
def _unbind(s: Source) -> Case:
    return Case((s.array((s.size(), s.size(), s.size())),), {"axis": s.choice([0, 1, -1])})


@register("getitem", "indices in range", smooth=False)
def _getitem(s: Source) -> Case:
    shape = (s.integer(3, 5), s.integer(3, 5), s.size())
    mask = np.arange(shape[0]) % 2 == 0
    rows = s.ids((4,), shape[0])
    index = s.choice([
        1, slice(1, None), (slice(None, None, 2), -1), (..., None, 0), slice(None, None, -1),
        rows, rows.reshape(2, 2), (rows, s.ids((4,), shape[1])), mask, (slice(None), [0, 0, 2]),
    ])
    return Case((s.array(shape), index))
