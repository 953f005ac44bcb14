"""Module: a tree of parameters, and surgery on it.

A module's attributes are the tree: Tensors are its state (those of type Parameter are trained),
Modules its children, in the order they were assigned. There is no other registration.

Read next: linear.py, then containers.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from minigrad.engine import no_grad
from minigrad.tensor import Tensor
from minigrad.writes import wrote

M = TypeVar("M", bound="Module")  # train() and eval() return the type they are called on


class Parameter(Tensor):
    """A leaf that is trained, over an array or a Tensor's array."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        data = data.data if isinstance(data, Tensor) else data
        super().__init__(data, requires_grad=requires_grad)


class Module:
    """Something with parameters that computes; calling it calls forward."""

    training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes: for a subclass to write."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Modules directly below this one, in the order they were assigned."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Modules directly below this one."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module ("") and all below it, with dotted names, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{prefix}.{name}" if prefix else name), value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once (a tied one under its first name), in order."""
        return ((n, t) for n, t in self._named_tensors() if isinstance(t, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter once, in order."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every Tensor that is no Parameter, once: kept in state_dict and not trained."""
        return ((n, t) for n, t in self._named_tensors() if not isinstance(t, Parameter))

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer once, in order."""
        return (buffer for _, buffer in self.named_buffers())

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Keep a Tensor as a buffer; the same as assigning it."""
        setattr(self, name, tensor)

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call the function on this module and all below it; returns self."""
        for module in self.modules():
            function(module)
        return self

    def to(self: M, device: str = "cpu") -> M:
        """Itself: a module is on the CPU.  Raises RuntimeError for another device."""
        if device != "cpu":
            raise RuntimeError(f"minigrad computes on the CPU; leave .to({device!r}) out")
        return self

    def count_parameters(self) -> int:
        """Number of values in all parameters, tied ones once."""
        return sum(parameter.data.size for parameter in self.parameters())

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> array of every parameter and buffer; the arrays themselves, not copies."""
        return {name: tensor.data for name, tensor in self._named_tensors()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy arrays into the module, in place.

        Raises ValueError, before anything is changed, that lists what is missing, what is extra
        and what has another shape.
        """
        copy_arrays(self.state_dict(), state, type(self).__name__)

    def train(self: M, training: bool = True) -> M:
        """Set training (dropout drops) or evaluation on the whole tree; returns self."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self: M) -> M:
        """Same as train(False)."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze or unfreeze every parameter; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def __repr__(self) -> str:
        lines = [f"({n}): {c!r}".replace("\n", "\n  ") for n, c in self.named_children()]
        own = [f"{n} {t.shape}" for n, t in vars(self).items() if isinstance(t, Tensor)]
        head = f"{type(self).__name__}({', '.join(own)}"
        return head + ("\n  " + "\n  ".join(lines) + "\n)" if lines else ")")


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Without gradients and dropout, for the length of a with block; the mode is put back."""
    training = module.training
    if training:  # to walk through all modules twice costs half a millisecond
        module.eval()
    try:
        with no_grad():
            yield
    finally:
        if training:
            module.train()


def shared(module: M) -> M:
    """A tree of its own over the same parameters and buffers: surgery on it is not seen from here,
    and what is written to an array is."""
    made = copy.copy(module)
    for name, child in module.named_children():
        setattr(made, name, shared(child))
    return made


def copy_arrays(
    own: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], owner: str
) -> None:
    """Copy each array of `state` into the one of the same name in `own`, in place.

    owner: whose arrays they are, for the words of an error.
    Raises ValueError, before anything is changed, that lists what is missing, what is extra and
    what has another shape.
    """
    problems = [f"missing: {name}" for name in own if name not in state]
    problems += [f"extra: {name}" for name in state if name not in own]
    for name, array in own.items():
        if name in state and state[name].shape != array.shape:
            problems.append(f"shape: {name} is {array.shape} here, {state[name].shape} there")
    if problems:
        more = "" if len(problems) <= 8 else f"\n  and {len(problems) - 8} more"
        listed = "\n  ".join(problems[:8])
        raise ValueError(f"the arrays do not fit this {owner}:\n  {listed}{more}")
    for name, array in own.items():
        np.copyto(array, state[name], casting="same_kind")
        wrote(array)


def replace_modules(
    root: Module, match: Callable[[str, Module], bool], make: Callable[[Module], Module]
) -> int:
    """Put make(module) in the place of every module below root that matches.

    match: (dotted name, module) -> bool; what was put in is not searched again.
    Returns how many were replaced.  Raises ValueError if nothing matched: a typing error would
    otherwise train or quantize nothing.
    """
    count = 0
    waiting: list[tuple[str, Module]] = [("", root)]
    while waiting:
        prefix, parent = waiting.pop()
        for name, child in list(parent.named_children()):
            full = f"{prefix}.{name}" if prefix else name
            if match(full, child):
                setattr(parent, name, make(child))
                count += 1
            else:
                waiting.append((full, child))
    if not count:
        kinds = sorted({type(module).__name__ for module in root.modules()})
        raise ValueError(
            f"replace_modules: nothing matched in {type(root).__name__}; it holds {kinds}"
        )
    return count
