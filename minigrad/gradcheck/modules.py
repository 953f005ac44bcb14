"""A module as a function of its parameters, so that they are cast, moved and checked as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigrad.nn.module import Module, Parameter
from minigrad.tensor import FLOATS, Tensor


def functional(
    module: Module, args: Sequence[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], Callable[[str], str]]:
    """(f, (parameters, *args), rename): f(parameters, *args) is module(*args) with these.

    What is no parameter or is frozen is a constant of f, in the dtype of the rest.
    rename: "args[0]['weight']" -> "weight", "args[1]" -> "args[0]", what the caller wrote.
    """
    places: dict[str, list[tuple[Module, str]]] = {}
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}
    for prefix, owner in module.named_modules():
        for attribute, value in vars(owner).items():
            if isinstance(value, Tensor) and value.dtype in FLOATS:
                name = names.setdefault(id(value), f"{prefix}.{attribute}".lstrip("."))
                tensors[name] = value
                places.setdefault(name, []).append((owner, attribute))
    moving = {n: t.data for n, t in tensors.items() if isinstance(t, Parameter) and t.requires_grad}

    def f(parameters: dict[str, Tensor], *rest: Any) -> Any:
        given = [*parameters.values(), *(x for x in rest if isinstance(x, Tensor))]
        dtype = next((x.dtype for x in given if x.dtype in FLOATS), FLOATS[0])
        try:
            for name, tensor in tensors.items():
                put = parameters.get(name, Tensor(tensor.data.astype(dtype, copy=False)))
                for owner, attribute in places[name]:
                    setattr(owner, attribute, put)
            return module(*rest)
        finally:
            for name, tensor in tensors.items():
                for owner, attribute in places[name]:
                    setattr(owner, attribute, tensor)

    def rename(name: str) -> str:
        head, _, tail = name.removeprefix("args[").partition("]")
        return tail[2:-2] if head == "0" else f"args[{int(head) - 1}]{tail}"

    return f, (moving, *args), rename
