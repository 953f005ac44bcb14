"""NumPy's functions called with Tensors: refused where a gradient would be lost in silence.

np.stack([x, y]) would read the values and return an array, and a part of a model would never learn.
So a NumPy function that is given a tensor that requires grad raises TypeError and names minigrad's.
Where there is no gradient to lose (plain data, under no_grad, a question such as np.allclose) it
gets the values. An operator with an array on its left arrives here too, and is minigrad's.
Source: NumPy enhancement proposals 13 and 18, which define the two protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad import ops
from minigrad.engine import mode
from minigrad.tensor import Tensor

# array + tensor, array @ tensor, array < tensor, ...
OPERATORS: dict[np.ufunc, Callable[[Any, Any], Tensor]] = {
    np.add: ops.add, np.subtract: ops.sub, np.multiply: ops.mul, np.true_divide: ops.div,
    np.power: ops.pow, np.matmul: ops.matmul, np.remainder: ops.remainder,
    np.floor_divide: ops.floor_divide, np.less: ops.lt, np.less_equal: ops.le, np.greater: ops.gt,
    np.greater_equal: ops.ge, np.equal: ops.eq, np.not_equal: ops.ne,
    np.bitwise_and: ops.logical_and, np.bitwise_or: ops.logical_or, np.bitwise_xor: ops.logical_xor,
}
# Functions whose answer has no gradient.
QUESTIONS = {
    "all", "allclose", "any", "argmax", "argmin", "argsort", "array_equal", "array_repr",
    "array_str", "count_nonzero", "isclose", "isfinite", "isinf", "isnan", "nonzero", "ndim",
    "shape", "sign", "signbit", "size",
}
# NumPy's name -> minigrad's, where they differ.
RENAMED = {
    "absolute": "abs", "amax": "max", "amin": "min", "dot": "matmul", "dstack": "concatenate",
    "expand_dims": "unsqueeze", "hstack": "concatenate", "inner": "matmul", "moveaxis": "permute",
    "negative": "neg", "outer": "einsum", "ravel": "flatten", "repeat": "tile",
    "rollaxis": "permute", "subtract": "sub", "multiply": "mul", "divide": "div",
    "true_divide": "div", "power": "pow", "take": "getitem", "take_along_axis": "gather",
    "tensordot": "einsum", "transpose": "permute", "vstack": "concatenate",
    "array_split": "split", "atleast_1d": "reshape", "concat": "concatenate",
}


def bind() -> None:
    """Give Tensor NumPy's three protocols."""
    for function in (__array__, __array_function__, __array_ufunc__):
        setattr(Tensor, function.__name__, function)


def __array__(
    self: Tensor, dtype: DTypeLike | None = None, copy: bool | None = None
) -> np.ndarray:
    """np.asarray(x): the values.  Raises TypeError where x requires grad and a graph is recorded.

    NumPy asks in the same way for each element of np.array([x, y]), which would lose the gradients.
    """
    if self.requires_grad and mode.enabled:
        raise TypeError(
            "a NumPy array of a tensor that requires grad would lose its gradient; use x.data for "
            "the values, or stack() to join tensors"
        )
    return np.array(self.data, dtype=dtype, copy=True) if copy else np.asarray(self.data, dtype)


def __array_function__(
    self: Tensor, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return _on_values(function, function, args, kwargs)


def __array_ufunc__(
    self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
) -> Any:
    if method == "__call__" and not kwargs and ufunc in OPERATORS:
        return OPERATORS[ufunc](*inputs)
    return _on_values(ufunc, getattr(ufunc, method), inputs, kwargs)


def _on_values(
    named: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """call(...) with arrays for Tensors.  Raises TypeError if a gradient would be lost."""
    name = named.__name__
    lost = mode.enabled and any(t.requires_grad for t in _tensors((args, kwargs)))
    if lost and name not in QUESTIONS:
        ours = RENAMED.get(name, name)
        known = f"use minigrad.{ours}()" if hasattr(ops, ours) else "use minigrad's operations"
        raise TypeError(
            f"np.{name} of a tensor that requires grad would lose its gradient; {known}, or x.data "
            "for the values alone"
        )
    return call(*_values(args), **_values(kwargs))


def _tensors(tree: Any) -> Iterable[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (tuple, list, dict)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors(part)


def _values(tree: Any) -> Any:
    """Arrays for Tensors, which cannot be written to by this way: such a write would go unseen."""
    if isinstance(tree, Tensor):
        values = tree.data.view()
        values.flags.writeable = False
        return values
    if isinstance(tree, dict):
        return {key: _values(part) for key, part in tree.items()}
    if type(tree) in (tuple, list):
        return type(tree)([_values(part) for part in tree])
    return tree
