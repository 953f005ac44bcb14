"""hypothesis strategies: tensors worth testing, and the arguments of every operation.

    @given(tensors(kinds=("normal", "ties")))
    def test_my_op(x):
        check_grads(my_op, [x])

    @given(op_cases("softmax"))
    def test_softmax(case): ...

Needs the `hypothesis` package, which only tests have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minigrad.tensor import Tensor
from minigrad.testing.registry import REGISTRY, Case
from minigrad.testing.source import EVERYWHERE, Source


class _Drawn(Source):
    """Answers from hypothesis, which shrinks every choice towards its first option."""

    def __init__(self, draw: DrawFn):
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


@st.composite
def shapes(
    draw: DrawFn, min_dims: int = 0, max_dims: int = 3, zero: bool = True
) -> tuple[int, ...]:
    """Shapes of axes 1, 2, 3, 5, 7 and, if `zero`, 0."""
    return _Drawn(draw).shape(min_dims, max_dims, zero)


@st.composite
def broadcasting_shapes(draw: DrawFn, zero: bool = True) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Pairs of shapes that broadcast together."""
    return _Drawn(draw).broadcasting(zero)


@st.composite
def arrays(
    draw: DrawFn, shape: Any = None, kinds: Sequence[str] = EVERYWHERE, layouts: bool = True
) -> np.ndarray:
    """float64 arrays.

    shape: a tuple, a strategy of tuples, or None for any.  kinds: of values, see source.KINDS.
    layouts: also views that are transposed, strided or reversed in memory.
    """
    if shape is None:
        shape = draw(shapes())
    elif isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    return _Drawn(draw).array(shape, kinds, layouts)


@st.composite
def tensors(
    draw: DrawFn,
    shape: Any = None,
    kinds: Sequence[str] = EVERYWHERE,
    dtype: type = np.float64,
    requires_grad: bool = True,
) -> Tensor:
    """Tensors of such arrays."""
    data: np.ndarray = draw(arrays(shape, kinds))
    return Tensor(data.astype(dtype, copy=False), requires_grad=requires_grad)


@st.composite
def broadcasting_pairs(
    draw: DrawFn, kinds: Sequence[str] = EVERYWHERE
) -> tuple[np.ndarray, np.ndarray]:
    """Two float64 arrays whose shapes broadcast."""
    a, b = draw(broadcasting_shapes())
    return draw(arrays(a, kinds)), draw(arrays(b, kinds))


@st.composite
def op_cases(draw: DrawFn, name: str) -> Case:
    """Calls of a registered operation."""
    return REGISTRY[name].sample(_Drawn(draw))
