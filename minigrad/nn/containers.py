"""Modules that hold modules: in a list, in a row, by name.

A member is an attribute of its container like any other child, named "0", "1", ... in the lists.
What is no module is refused, for it would be left out of the model and nobody would be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast, overload

from minigrad.nn.functions import Function
from minigrad.nn.module import Module

M = TypeVar("M", bound=Module)


def _member(owner: Module, value: Any) -> Module:
    """value, which must be a module.  Raises TypeError with what is wrong."""
    if isinstance(value, Module):
        return value
    kind = type(owner).__name__
    if isinstance(value, type):
        raise TypeError(f"{kind}: {value.__name__} is a class; make a module: {value.__name__}()")
    if isinstance(value, (list, tuple)):
        raise TypeError(f"{kind}: a {type(value).__name__} is no module; write {kind}(*modules)")
    raise TypeError(f"{kind}: {value!r} is no module")


class ModuleList(Module, Generic[M]):
    """Modules in a list; children are named "0", "1", ...

    Raises TypeError for what is no module.
    """

    def __init__(self, modules: Iterable[M] = ()):
        self.extend(modules)

    def append(self, module: M) -> ModuleList[M]:
        """Add one at the end; returns self."""
        setattr(self, str(len(self)), _member(self, module))
        return self

    def extend(self, modules: Iterable[M]) -> ModuleList[M]:
        """Add several at the end; returns self."""
        for module in modules:
            self.append(module)
        return self

    def __iter__(self) -> Iterator[M]:
        return (cast(M, child) for _, child in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self.named_children())

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        return list(self)[index]

    def __setitem__(self, index: int, module: M) -> None:
        name = [name for name, _ in self.named_children()][index]
        setattr(self, name, _member(self, module))


class Sequential(ModuleList[Module]):
    """Modules, or functions of one Tensor such as ops.relu, applied one after another."""

    def __init__(self, *modules: Module | Callable[[Any], Any]):
        super().__init__(cast(Iterable[Module], modules))

    def append(self, module: Any) -> Sequential:
        """Add a module or a function at the end; returns self."""
        plain = callable(module) and not isinstance(module, (Module, type))
        super().append(Function(module) if plain else module)
        return self

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


class ModuleDict(Module):
    """Modules by name; children have these names.

    Raises TypeError for what is no module, KeyError for a name that is an attribute already.
    """

    def __init__(self, modules: Mapping[str, Module] | None = None):
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if hasattr(type(self), name) or not name or "." in name:
            raise KeyError(f"ModuleDict: {name!r} cannot be the name of a module")
        setattr(self, name, _member(self, module))

    def __getitem__(self, name: str) -> Module:
        return dict(self.named_children())[name]

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, _ in self.named_children()]

    def values(self) -> list[Module]:
        """The modules."""
        return list(self.children())

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules."""
        return list(self.named_children())
