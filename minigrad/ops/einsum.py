"""einsum: sums of products, written with a letter for each axis."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np

from minigrad.engine import unbroadcast
from minigrad.tensor import Operand, Tensor


def einsum(equation: str, *operands: Operand) -> Tensor:
    """np.einsum: "ij,jk->ik" is a matrix product, "ii->i" a diagonal, "...c,c->..." a dot product.

    operands: Tensors of one dtype (arrays are constants).  Without "->" the letters that occur once
    are the result's, in alphabetical order.
    Raises ValueError for an equation that does not fit the shapes.
    """
    tensors = tuple([x if isinstance(x, Tensor) else Tensor(x) for x in operands])
    arrays = [x.data for x in tensors]
    inputs, output = _letters(equation, [a.ndim for a in arrays])
    try:
        y = np.asarray(np.einsum(f"{','.join(inputs)}->{output}", *arrays, optimize=True))
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(f"einsum: {equation!r} does not fit shapes {shapes}: {error}") from None

    def gradient(k: int) -> Callable[[np.ndarray], np.ndarray]:
        """dy -> the gradient of operand k."""
        # y is linear in each operand: dy/dx_k is the product of the others, and the adjoint of
        # summing over a letter is to repeat along it, of a diagonal to fill one.
        own, shape, dtype = "".join(dict.fromkeys(inputs[k])), arrays[k].shape, arrays[k].dtype
        others = [(inputs[i], arrays[i]) for i in range(len(arrays)) if i != k]
        seen = set(output).union(*[letters for letters, _ in others])
        summed = "".join([letter for letter in own if letter in seen])
        source = ",".join([output, *[letters for letters, _ in others]])

        def of(dy: np.ndarray) -> np.ndarray:
            dx = np.zeros(shape, dtype)
            # Of a repeated letter, einsum shows the diagonal as a view that can be written to.
            diagonal = dx if own == inputs[k] else np.einsum(f"{inputs[k]}->{own}", dx)
            g = np.einsum(f"{source}->{summed}", dy, *[a for _, a in others], optimize=True)
            g = np.expand_dims(g, [i for i, letter in enumerate(own) if letter not in seen])
            axes = [1 if n == 1 else m for n, m in zip(diagonal.shape, g.shape, strict=True)]
            diagonal[...] = unbroadcast(g, tuple(axes))
            return dx

        return of

    gradients = [gradient(k) if x.requires_grad else None for k, x in enumerate(tensors)]
    return Tensor(y, tensors, lambda dy: [None if of is None else of(dy) for of in gradients])


def _letters(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """(each operand's letters, the result's): "..." spelled out, a missing "->" made up."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {equation!r} names {len(terms)} operands, given {len(ndims)}")
    named = set(equation)
    free = "".join([letter for letter in string.ascii_letters if letter not in named])
    extra = [n - len(term.replace("...", "")) for term, n in zip(terms, ndims, strict=True)]
    for term, n, more in zip(terms, ndims, extra, strict=True):
        if more < 0 or (more and "..." not in term):
            raise ValueError(f"einsum: {term!r} in {equation!r} is given a tensor of {n} axes")
    longest = free[: max(extra, default=0)]
    spelled = [
        term.replace("...", longest[len(longest) - more :])
        for term, more in zip(terms, extra, strict=True)
    ]
    if not arrow:
        joined = "".join(term.replace("...", "") for term in terms)
        right = "..." + "".join(sorted([c for c in set(joined) if joined.count(c) == 1]))
    return spelled, right.replace("...", longest)
