"""Tensor: a NumPy array that remembers how it was made.

`data` is the array, `grad` the gradient that backward left there (an array too), `node` the
operation that made it (None for a leaf). The methods and operators below only name functions of
minigrad.ops, where each forward stands next to its backward. Names follow PyTorch.

Read next: engine.py for the walk, ops/arithmetic.py for the first operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.engine import Backward, Node, backward, mode

Axis = int | tuple[int, ...] | None  # None: over all
Operand = Any  # Tensor, array or number

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Tensor:
    """An array in a graph of operations.

    data: array (kept as it is, not copied) or numbers (Python floats become float32). float32 is
        for computing, float64 for checking; integers and booleans are data without gradients.
    parents: the Tensors it was made from (None where an optional one was left out).
    backward: closure dy -> gradients in parent order, None where there is none; dy is C-contiguous
        and has this tensor's shape. Broadcasting need not be undone: the engine does.
    requires_grad: whether backward should leave a gradient on this leaf.
    remake: None, or a function that computes `data` again from what the graph keeps anyway. A norm
        sets it: the layer that reads the norm's output then needs not keep it (ops/linear.py).
    Raises TypeError for another dtype, or for requires_grad on integers.
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "remake", "requires_grad", "slot")
    __array_ufunc__ = None  # ndarray + Tensor calls Tensor.__radd__

    data: np.ndarray
    grad: np.ndarray | None
    node: Node | None
    remake: Callable[[], np.ndarray] | None

    def __init__(
        self,
        data: Any,
        parents: Sequence[Tensor | None] = (),
        backward: Backward | None = None,
        requires_grad: bool = False,
    ):
        self.data = data if type(data) is np.ndarray else _array(data)
        self.grad = self.remake = None
        self.slot = 0
        if backward is not None:
            self.requires_grad = mode.enabled and _any_requires_grad(parents)
            self.node = Node(parents, backward, (self.data.shape,)) if self.requires_grad else None
            return
        self.node = None
        self.requires_grad = False
        _check_dtype(self.data)
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def output(data: np.ndarray, node: Node | None, slot: int) -> Tensor:
        """The tensor for output `slot` of a node (no gradient when node is None)."""
        tensor = Tensor.__new__(Tensor)
        tensor.data = data
        tensor.grad = tensor.remake = None
        tensor.node = node
        tensor.slot = slot
        tensor.requires_grad = node is not None
        return tensor

    @staticmethod
    def multi(
        datas: Sequence[np.ndarray], parents: Sequence[Tensor | None], backward: Backward
    ) -> tuple[Tensor, ...]:
        """The outputs of one operation that has several.

        backward: closure of one dy per output, None for an output that nobody used.
        """
        node = None
        if mode.enabled and _any_requires_grad(parents):
            node = Node(parents, backward, tuple([data.shape for data in datas]))
        return tuple([Tensor.output(data, node, slot) for slot, data in enumerate(datas)])

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made it."""
        return self.node is None

    @property
    def T(self) -> Tensor:
        return ops.permute(self, tuple(range(self.ndim))[::-1])

    def numpy(self) -> np.ndarray:
        """The array itself, not a copy."""
        return self.data

    def item(self) -> float | int | bool:
        """The value of a tensor of one element as a Python number."""
        return self.data.item()

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype, copy=True) if copy else np.asarray(self.data, dtype)

    def __repr__(self) -> str:
        text = np.array2string(self.data, precision=4, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"Tensor({text}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    # Gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch gradients on or off for a leaf; returns self."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only a leaf can be switched; use detach() first")
        if requires_grad and self.data.dtype not in FLOATS:
            raise TypeError(
                f"only float32 and float64 tensors can require grad, not {self.data.dtype}"
            )
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """A leaf without gradient over the same array."""
        return Tensor.output(self.data, None, 0)

    def backward(self, gradient: Any = None) -> None:
        """Accumulate d(self)/d(leaf), weighted by `gradient`, into .grad of every leaf below.

        gradient: array of self's shape and dtype; may be left out for a single element (then 1).
        The graph is freed on the way: calling it twice raises RuntimeError.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward: this tensor requires no grad: it was made under no_grad, detached, or "
                "only from tensors without requires_grad=True"
            )
        if gradient is None:
            if self.data.size != 1:
                raise RuntimeError(
                    f"backward: a tensor of shape {self.shape} is not a scalar; reduce it with "
                    "sum() or mean(), or pass gradient= of that shape"
                )
            gradient = np.ones_like(self.data)
        elif isinstance(gradient, Tensor):
            gradient = gradient.data
        gradient = np.asarray(gradient, dtype=self.dtype)
        if gradient.shape != self.shape:
            raise ValueError(
                f"backward: gradient {gradient.shape} must have the tensor's shape {self.shape}"
            )
        backward([self], [gradient])

    # Writing in place is for leaves under no_grad (an optimizer's step) and for plain data.

    def __setitem__(self, index: Any, value: Operand) -> None:
        if self.requires_grad and (mode.enabled or self.node is not None):
            raise RuntimeError(
                "in-place write to a tensor that requires grad: its old values may be saved for "
                "backward; write under no_grad(), or use where()"
            )
        self.data[_plain(index)] = _plain(value)

    def _in_place(self, other: Operand, ufunc: np.ufunc, op: Callable[..., Tensor]) -> Tensor:
        """`w += x`: really in place for a leaf that requires grad, else the same as w = w + x."""
        if not self.requires_grad or self.node is not None:
            return op(self, other)
        if mode.enabled:
            raise RuntimeError(
                f"in-place {ufunc.__name__} on a leaf that requires grad would lose the leaf; "
                "do it under no_grad(), or write to a new name"
            )
        ufunc(self.data, _plain(other), out=self.data, casting="same_kind")
        return self

    def __iadd__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.add, ops.add)

    def __isub__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.subtract, ops.sub)

    def __imul__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.multiply, ops.mul)

    def __itruediv__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.true_divide, ops.div)

    # Arithmetic

    def __add__(self, other: Operand) -> Tensor:
        return ops.add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return ops.mul(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, exponent: Operand) -> Tensor:
        return ops.pow(self, exponent)

    def __rpow__(self, base: Operand) -> Tensor:
        return ops.pow(base, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return ops.matmul(self, other)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    # Comparisons give booleans, without gradient

    def __lt__(self, other: Operand) -> Tensor:
        return Tensor.output(np.asarray(self.data < _plain(other)), None, 0)

    def __le__(self, other: Operand) -> Tensor:
        return Tensor.output(np.asarray(self.data <= _plain(other)), None, 0)

    def __gt__(self, other: Operand) -> Tensor:
        return Tensor.output(np.asarray(self.data > _plain(other)), None, 0)

    def __ge__(self, other: Operand) -> Tensor:
        return Tensor.output(np.asarray(self.data >= _plain(other)), None, 0)

    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return Tensor.output(np.asarray(self.data == _plain(other)), None, 0)

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return Tensor.output(np.asarray(self.data != _plain(other)), None, 0)

    __hash__ = object.__hash__

    # Elementwise

    def exp(self) -> Tensor:
        return ops.exp(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def pow(self, exponent: Operand) -> Tensor:
        return ops.pow(self, exponent)

    def abs(self) -> Tensor:
        return ops.abs(self)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        return ops.clip(self, low, high)

    def masked_fill(self, mask: Operand, value: float) -> Tensor:
        return ops.masked_fill(self, mask, value)

    # Reductions

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.mean(self, axis, keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        return ops.var(self, axis, keepdims, ddof)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.min(self, axis, keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """Index of the largest element; integers, no gradient."""
        return Tensor.output(np.asarray(self.data.argmax(axis)), None, 0)

    # Shape

    def reshape(self, *shape: Any) -> Tensor:
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def permute(self, *axes: Any) -> Tensor:
        return ops.permute(self, axes[0] if len(axes) == 1 else axes)

    def transpose(self, axis1: int, axis2: int) -> Tensor:
        return ops.swapaxes(self, axis1, axis2)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return ops.swapaxes(self, axis1, axis2)

    def broadcast_to(self, *shape: Any) -> Tensor:
        return ops.broadcast_to(self, shape[0] if len(shape) == 1 else shape)

    def split(self, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
        return ops.split(self, sections, axis)

    def astype(self, dtype: DTypeLike) -> Tensor:
        return ops.astype(self, dtype)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A new leaf from numbers, lists or an array; always a copy (Tensor(array) shares memory)."""
    array = _array(_plain(data))
    return Tensor(np.array(array, dtype=dtype or array.dtype), requires_grad=requires_grad)


def _any_requires_grad(parents: Sequence[Tensor | None]) -> bool:
    for parent in parents:  # a loop: half the time of any() with a generator
        if parent is not None and parent.requires_grad:
            return True
    return False


def _array(data: Any) -> np.ndarray:
    """Numbers to an array; Python floats become float32, NumPy's keep their dtype."""
    if isinstance(data, Tensor):
        raise TypeError("Tensor of a Tensor: use detach() or tensor(x.data)")
    array = np.asarray(data)
    if array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
        array = array.astype(np.float32)
    return array


def _check_dtype(data: np.ndarray) -> None:
    if data.dtype not in FLOATS and data.dtype.kind not in "iub":
        raise TypeError(
            f"a Tensor holds float32, float64, integers or booleans, not {data.dtype}; cast it"
        )


def _plain(x: Any) -> Any:
    """Tensors inside an index or operand as arrays."""
    if isinstance(x, Tensor):
        return x.data
    return tuple(_plain(part) for part in x) if isinstance(x, tuple) else x


from minigrad import ops  # noqa: E402  (the operations need Tensor, its methods need them)
