"""Reverse mode: one walk from the loss back to the leaves.

Every differentiable operation leaves a `Node`: the edges to its parents and a closure that turns
the gradient of its outputs into gradients of its parents. `backward` sorts the nodes, calls each
closure once, adds up what arrives at each parent, and drops the closure, so that activations are
freed while the walk goes on. Nothing here is recursive: a chain of 100,000 operations is a loop.

Who may write to a gradient. The engine writes only to arrays that nobody else can see:
  * inside the graph it takes the first gradient as it comes and never writes to it (it may be `dy`
    passing through a residual, or one array returned for two parents); a second one makes a new
    array, the sum, and later ones are added to that sum in place;
  * a leaf's `.grad` belongs to that leaf alone: a gradient that is a view, `dy` itself, or returned
    for several parents is copied first. So accumulation over micro-batches is in place.
A closure runs once. It may return arrays it saved, and must not read them afterwards.

Who may write to an array that a closure saved: nobody, until that closure has run. Whoever writes
in place says so (writes.py), and the walk refuses to use an array written to since its node was
made. An ordinary step of training pays one comparison of integers a node for this.

Source: the form of the walk follows Griewank and Walther 2008, chapter 3.
Read next: tensor.py, ops/arithmetic.py, writes.py, then recompute.py.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from kernels.memory import empty, is_view
from minigrad import writes
from minigrad.writes import clock

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

Gradient = np.ndarray | None  # None: nothing reached it
Backward = Callable[..., Sequence[Gradient]]  # the outputs' gradients -> the parents'
F = TypeVar("F", bound=Callable[..., Any])


class Node:
    """One operation on the tape: where its outputs' gradients gather and where they go next.

    number: creation order; parents always have smaller numbers than their children.
    parents: a Node, a leaf Tensor or None (no gradient wanted) for each parent; it refers to nodes
        and not to intermediate tensors, so that data no closure saved is freed during forward.
    slots: which output of the parent node was used, for each parent.
    shapes: the shape of each output.  grads, owned: each output's gradient so far, and whether the
        engine allocated it.
    """

    __slots__ = ("backward", "grads", "number", "owned", "parents", "shapes", "slots")

    backward: Backward | None

    def __init__(
        self,
        parents: Sequence[Tensor | None],
        backward: Backward,
        shapes: tuple[tuple[int, ...], ...],
    ):
        self.number = next(clock)
        wanted = [p if p is not None and p.requires_grad else None for p in parents]
        self.parents: tuple[Any, ...] = tuple([None if p is None else p.node or p for p in wanted])
        self.slots = tuple([p.slot if p is not None else 0 for p in wanted])
        self.backward = backward
        self.shapes = shapes
        self.grads: list[Gradient] = [None] * len(shapes)
        self.owned = 0  # bit i: grads[i] was allocated here and may be written to

    @property
    def name(self) -> str:
        """The operation, as its closure was written in it: "mul", "softmax"."""
        if self.backward is None:
            return "walked and freed"
        outer = getattr(self.backward, "__qualname__", "operation").split(".<locals>")[0]
        return outer.rpartition(".")[2].strip("_")

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def add(self, slot: int, grad: np.ndarray) -> None:
        """Accumulate a gradient for output `slot`, undoing broadcasting."""
        if grad.shape != self.shapes[slot]:
            grad = unbroadcast(grad, self.shapes[slot])
        before = self.grads[slot]
        if before is None:
            self.grads[slot] = grad
        elif self.owned >> slot & 1:
            np.add(before, grad, out=before)
        else:
            self.grads[slot] = np.add(before, grad, out=empty(grad.shape, grad.dtype))
            self.owned |= 1 << slot

    def release(self) -> None:
        """Forget closure, parents and gradients: whatever they kept alive can be freed."""
        self.backward = None
        self.parents = self.slots = ()
        self.grads = [None] * len(self.shapes)
        self.owned = 0


def backward(
    tensors: Sequence[Tensor], gradients: Sequence[Gradient], since: int | None = None
) -> None:
    """Walk from `tensors` to the leaves they were made from, accumulating into each leaf's .grad.

    gradients: dLoss/dtensor for each, of its shape and dtype; None entries are skipped.
    since: the moment after which nothing that this graph read may have been written to, None for
        the making of each node. It is earlier for a graph that is a second run (recompute.py).
    Raises RuntimeError if a part of the graph was already walked and freed, or if something saved
    for it was overwritten.
    """
    roots = []
    for tensor, grad in zip(tensors, gradients, strict=True):
        if grad is None:
            continue
        if tensor.node is None:
            _add_to_leaf(tensor, grad, shared=True)
        else:
            tensor.node.add(tensor.slot, grad)
            roots.append(tensor.node)
    order = _topological(roots)
    if since is not None and writes.latest > since:
        _refuse_written_leaves(order, since)
    uses = _uses_of_leaves(order) if listening.told is not None else None
    while order:
        node = order.pop()
        if node.backward is None:
            raise RuntimeError(
                "backward: this graph was already walked and its activations freed; "
                "run forward again, or add the losses and call backward once"
            )
        if writes.latest > node.number:
            writes.refuse_written(node.name, node.backward, node.number)
        outputs = [g if g is None or g.flags.c_contiguous else g.copy() for g in node.grads]
        if any(g is not None for g in outputs):
            _spread(node, outputs, node.backward(*outputs))
        if uses is not None:
            _tell_of_leaves(node, uses)
        node.release()


def _uses_of_leaves(nodes: Sequence[Node]) -> dict[int, int]:
    """id of each leaf -> how many gradients these nodes will hand to it."""
    leaves = (p for node in nodes for p in node.parents if p is not None and type(p) is not Node)
    return Counter(map(id, leaves))


def _tell_of_leaves(node: Node, uses: dict[int, int]) -> None:
    """Tell of the leaves that have now had all that this walk brings them."""
    for parent in node.parents:
        if parent is not None and type(parent) is not Node:
            uses[id(parent)] -= 1
            if not uses[id(parent)] and listening.told is not None:
                listening.told(parent)


def _refuse_written_leaves(nodes: Sequence[Node], since: int) -> None:
    """A second run reads the leaves again, so none of them may have changed."""
    for node in nodes:
        for parent in node.parents:
            if parent is not None and type(parent) is not Node:
                writes.refuse_written(node.name, parent, since)


def _topological(roots: Sequence[Node]) -> list[Node]:
    """All nodes reachable from the roots, parents first.

    Creation order is a topological order, so it is enough to collect the nodes and sort them.
    """
    seen = set(roots)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if type(parent) is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.number)


def _spread(node: Node, outputs: list[Gradient], grads: Sequence[Gradient]) -> None:
    """Hand each gradient that a closure returned to its parent."""
    if len(grads) != len(node.parents):
        raise RuntimeError(
            f"a backward closure returned {len(grads)} gradients for {len(node.parents)} parents"
        )
    for parent, slot, grad in zip(node.parents, node.slots, grads, strict=True):
        if parent is None or grad is None:
            continue
        if type(grad) is not np.ndarray:
            # NumPy's arithmetic makes a number of a 0-d array, and NumPy 1 a float64 of float32's.
            grad = np.asarray(grad, next(dy.dtype for dy in outputs if dy is not None))
        if type(parent) is Node:
            parent.add(slot, grad)
        else:
            held = [id(array) for array in (*outputs, *grads)]  # it may be dy, or given to two
            _add_to_leaf(parent, grad, shared=held.count(id(grad)) > 1)


def _add_to_leaf(leaf: Tensor, grad: np.ndarray, shared: bool) -> None:
    """Accumulate into leaf.grad, which must never share memory with anything else."""
    if grad.dtype != leaf.data.dtype:
        raise TypeError(f"a {leaf.data.dtype} tensor was given a gradient of dtype {grad.dtype}")
    if grad.shape != leaf.data.shape:
        grad = unbroadcast(grad, leaf.data.shape)
    if leaf.grad is not None:
        np.add(leaf.grad, grad, out=leaf.grad)
    elif shared or is_view(grad) or not grad.flags.writeable:
        leaf.grad = grad.copy(order="C")
    else:
        leaf.grad = grad


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum grad over the axes along which an array of `shape` was repeated.

    y = broadcast(x) copies each x_i to several places, so dx_i is the sum of dy over them.
    Raises ValueError if grad could not have come from broadcasting `shape`.
    """
    extra = grad.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, grad.shape[extra:], strict=True)):
        raise ValueError(f"a gradient of shape {grad.shape} does not fit a tensor of shape {shape}")
    repeated = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and grad.shape[extra + i] != 1
    )
    return grad.sum(axis=repeated, keepdims=True).reshape(shape)


class _Listening(threading.local):
    """Who in this thread wants to hear of leaves whose gradient is whole."""

    told: Callable[[Tensor], None] | None = None


listening = _Listening()


@contextmanager
def leaves_told(told: Callable[[Tensor], None] | None) -> Iterator[None]:
    """Inside the block, `told` hears of each leaf as soon as a walk will add no more to its .grad:
    what it does then goes on beside the rest of the walk (sending it to other machines).

    A leaf that no gradient reached is told of as well. What `recompute` runs again is a walk of its
    own: a leaf that is used both inside and outside of it is told of twice.
    """
    before, listening.told = listening.told, told
    try:
        yield
    finally:
        listening.told = before


class _Mode(threading.local):
    """Whether this thread is recording a graph."""

    enabled = True


mode = _Mode()


class no_grad(ContextDecorator):
    """Inside the block (or the decorated function) no graph is built.

    A decorated generator function computes without a graph whenever it is resumed; what its
    consumer does in between is not touched.
    Raises TypeError for a coroutine function: others run while it waits.
    """

    value = False

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self.value

    def __exit__(self, *error: object) -> None:
        mode.enabled = self._before.pop()

    def __call__(self, function: F) -> F:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__} cannot decorate the coroutine {function.__name__}: others "
                "run while it waits; write the with block around what it computes between awaits"
            )
        if inspect.isgeneratorfunction(function):
            return cast(F, self._resumed_inside(function))
        return super().__call__(function)

    def _resumed_inside(
        self, function: Callable[..., Generator[Any, Any, Any]]
    ) -> Callable[..., Generator[Any, Any, Any]]:
        """The generator function, each of its steps in a block of its own."""

        @wraps(function)
        def stepping(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            resume: Callable[[Any], Any] = generator.send
            value: Any = None
            while True:
                try:
                    with type(self)():
                        made = resume(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    resume, value = generator.send, (yield made)
                except BaseException as error:  # thrown in by the consumer: it is the generator's
                    resume, value = generator.throw, error

        return stepping


class enable_grad(no_grad):
    """Undo an enclosing no_grad for the length of the block."""

    value = True


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.enabled
