"""Tensor: a NumPy array that remembers how it was made.

`data` is the array, `grad` the gradient that backward left there (an array too), `node` the
operation that made it (None for a leaf). What can be computed with it stands in minigrad.ops, each
forward next to its backward; the operators below and the methods (methods.py) only name those
functions. Names follow PyTorch.

Read next: engine.py for the walk, ops/arithmetic.py for the first operations.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from minigrad.engine import Backward, Node, backward, mode
from minigrad.writes import wrote

Axis = int | Sequence[int] | None  # None: over all
Operand = Any  # Tensor, array or number

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Size(int):
    """The number of elements, as NumPy has it (`x.size`); called, PyTorch's shape: `x.size()`."""

    shape: tuple[int, ...]

    def __call__(self, axis: int | None = None) -> Any:
        return self.shape if axis is None else self.shape[axis]


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

    What forward read must not be overwritten before backward. Writes to a Tensor are watched and
    backward refuses (writes.py); a write to a bare NumPy array, `x.data` and the array that
    Tensor(array) keeps or `x * array` reads among them, cannot be seen: copy what you will change.
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "remake", "requires_grad", "slot")

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

    if TYPE_CHECKING:  # the methods that methods.py binds

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...

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
    def size(self) -> Size:
        size = Size(self.data.size)
        size.shape = self.data.shape
        return size

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made it."""
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made it; None for a leaf."""
        return self.node

    @property
    def T(self) -> Tensor:
        return ops.permute(self, tuple(range(self.ndim))[::-1])

    def numpy(self) -> np.ndarray:
        """The array itself, not a copy."""
        return self.data

    def item(self) -> float | int | bool:
        """The value of a tensor of one element as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a 0-d tensor."""
        return self.data.tolist()

    def __len__(self) -> int:
        if not self.data.shape:
            raise TypeError("len() of a 0-d tensor")
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.data.shape:
            raise TypeError("a 0-d tensor has nothing to iterate over; its value is x.item()")
        return iter(ops.unbind(self))

    def __contains__(self, value: Operand) -> bool:
        if not self.data.shape:
            raise TypeError("a 0-d tensor contains nothing; compare it: x == value")
        return bool((self.data == plain(value)).any())

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.data.item())

    def __format__(self, spec: str) -> str:
        """f"{loss:.4f}": of a tensor with one element the number is formatted."""
        if spec and self.data.size == 1:
            return format(self.item(), spec)
        return super().__format__(spec)

    def __repr__(self) -> str:
        text = np.array2string(self.data, precision=4, separator=", ", prefix="Tensor(")
        if self.dtype != np.float32:
            text += f", dtype={self.dtype}"
        if self.node is not None:
            text += f", grad_fn={self.node!r}"
        elif self.requires_grad:
            text += ", requires_grad=True"
        return f"Tensor({text})"

    # Gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch gradients on or off for a leaf; returns self."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only a leaf can be switched; use detach() first")
        if requires_grad and self.data.dtype not in FLOATS:
            raise TypeError(
                f"only float32 and float64 tensors can require grad, not {self.data.dtype}; "
                "convert it first: x.float()"
            )
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """A leaf without gradient over the same array."""
        return Tensor.output(self.data, None, 0)

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Accumulate d(self)/d(leaf), weighted by `gradient`, into .grad of every leaf below.

        gradient: array of self's shape and dtype; may be left out for a single element (then 1).
        The graph is freed on the way: calling it twice raises RuntimeError, and so does
        retain_graph=True, which would ask for that.
        """
        if retain_graph:
            raise RuntimeError(
                "backward: the graph is freed while it is walked, so it cannot be retained; run "
                "forward again, or add the losses and call backward once"
            )
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
        value = without_graph(
            value, "a write in place has no gradient; use where(), stack() or concatenate()"
        )
        self.data[plain(index)] = value
        wrote(self.data)

    def _in_place(
        self, other: Operand, ufunc: np.ufunc, op: Callable[[Any, Any], Tensor]
    ) -> Tensor:
        """`w += x`: in place where no gradient is at stake, else the same as w = w + x."""
        graph = self.node is not None or (_requires_grad(other) and not self.requires_grad)
        if graph and mode.enabled:
            return op(self, other)
        if self.requires_grad and mode.enabled:
            raise RuntimeError(
                f"in-place {ufunc.__name__} on a leaf that requires grad would lose the leaf; "
                "do it under no_grad(), or write to a new name"
            )
        ufunc(self.data, plain(other), out=self.data, casting="same_kind")
        wrote(self.data)
        return self

    def __iadd__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.add, operator.add)

    def __isub__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.subtract, operator.sub)

    def __imul__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.multiply, operator.mul)

    def __itruediv__(self, other: Operand) -> Tensor:
        return self._in_place(other, np.true_divide, operator.truediv)

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

    def __mod__(self, other: Operand) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: Operand) -> Tensor:
        return ops.remainder(other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return ops.floor_divide(other, self)

    def __pow__(self, exponent: Operand) -> Tensor:
        return ops.pow(self, exponent)

    def __rpow__(self, base: Operand) -> Tensor:
        return ops.pow(base, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    # Comparisons and logic give booleans, without gradient

    def __lt__(self, other: Operand) -> Tensor:
        return ops.lt(self, other)

    def __le__(self, other: Operand) -> Tensor:
        return ops.le(self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return ops.gt(self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return ops.ge(self, other)

    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return ops.eq(self, other)

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return ops.ne(self, other)

    __hash__ = object.__hash__

    def __invert__(self) -> Tensor:
        return ops.logical_not(self)

    def __and__(self, other: Operand) -> Tensor:
        return ops.logical_and(self, other)

    __rand__ = __and__

    def __or__(self, other: Operand) -> Tensor:
        return ops.logical_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Operand) -> Tensor:
        return ops.logical_xor(self, other)

    __rxor__ = __xor__


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A new leaf from numbers, lists or an array; always a copy (Tensor(array) shares memory).

    Raises TypeError for tensors that require grad: the copy would be cut from their graph.
    """
    data = without_graph(
        data, "tensor() copies values only; use stack() or x.clone(), or x.detach() for the values"
    )
    array = _array(data)
    return Tensor(np.array(array, dtype=dtype or array.dtype), requires_grad=requires_grad)


def floats(x: Tensor) -> Tensor:
    """x itself, or in float32 if it holds integers or booleans: what sqrt, mean, ... compute with.

    Raises TypeError for a bare array.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"expected a Tensor, not {type(x).__name__}; wrap it: Tensor(array)")
    return x if x.data.dtype in FLOATS else Tensor(x.data.astype(np.float32))


def plain(x: Any) -> Any:
    """Tensors inside an index or operand as arrays."""
    if isinstance(x, Tensor):
        return x.data
    return type(x)([plain(part) for part in x]) if type(x) in (tuple, list) else x


def without_graph(x: Any, instead: str) -> Any:
    """`plain`, where a gradient that is lost would be lost in silence.

    Raises TypeError, with what to do `instead`, if a Tensor in x requires grad and the graph is
    being recorded.
    """
    if mode.enabled and _requires_grad(x):
        raise TypeError(f"a tensor that requires grad would lose its gradient here: {instead}")
    return plain(x)


def _requires_grad(x: Any) -> bool:
    """Whether x is, or holds, a Tensor that requires grad."""
    if isinstance(x, Tensor):
        return x.requires_grad
    return type(x) in (tuple, list) and any(_requires_grad(part) for part in x)


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


from minigrad import ops  # noqa: E402  (the operations need Tensor, its operators need them)
