"""PyTorch's names beside NumPy's: for a function, and for an argument.

minigrad's own code writes one of them, NumPy's (the first), and so does mypy see them. The others
are for people who type what they know: ops/__init__.py applies these tables once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

# Another name -> the function.
ALIASES = {
    "absolute": "abs", "amax": "max", "amin": "min", "bmm": "matmul", "cat": "concatenate",
    "clamp": "clip", "concat": "concatenate", "divide": "div", "dot": "dot",
    "expand": "broadcast_to", "mm": "matmul", "multiply": "mul", "mv": "matmul",
    "negative": "neg", "permute_dims": "permute", "repeat": "tile", "subtract": "sub",
    "true_divide": "div", "view": "reshape",
}

# Another name of an argument -> its name here.
ARGUMENTS = {
    "dim": "axis", "dims": "axes", "dim0": "axis1", "dim1": "axis2", "keepdim": "keepdims",
    "min": "low", "max": "high", "unbiased": "ddof", "correction": "ddof", "p": "ord",
    "start_dim": "start", "end_dim": "end", "diagonal": "k", "chunks": "sections",
}

# Where PyTorch means something else by the same call, its spelling (dim=) is refused: function ->
# (whether these arguments are such a call, what to write).
Given = dict[str, Any]
PAIR = "PyTorch's max(dim=) and min(dim=) are pairs; write x.max(axis=...) and x.argmax(axis=...)"
DEGREES = "PyTorch divides by n - 1, minigrad by n; say which: correction=1 or correction=0"
PARTS = (
    "PyTorch's split(n) is parts of n, minigrad's n parts; write x.chunk(n, dim) for n parts, or "
    "x.split([n, ...], dim) with their sizes"
)


def _dim(given: Given) -> bool:
    return "dim" in given


def _dim_alone(given: Given) -> bool:
    return "dim" in given and not {"unbiased", "correction", "ddof"} & set(given)


def _one_size(given: Given) -> bool:
    return "dim" in given and isinstance(given.get("sections"), int)


DIFFERENT: dict[str, tuple[Callable[[Given], bool], str]] = {
    "max": (_dim, PAIR), "min": (_dim, PAIR), "var": (_dim_alone, DEGREES),
    "std": (_dim_alone, DEGREES), "split": (_one_size, PARTS),
}


def accepting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, taking PyTorch's names of its arguments too; itself if it has none of them.

    Raises TypeError if an argument is given under both names, or where the two libraries differ.
    """
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    names = {other: here for other, here in ARGUMENTS.items() if here in own and other not in own}
    if not names:
        return function
    differs, instead = DIFFERENT.get(name, (None, ""))

    def renamed(kwargs: dict[str, Any], args: tuple[Any, ...]) -> dict[str, Any]:
        if differs is not None and differs({**dict(zip(own, args, strict=False)), **kwargs}):
            raise TypeError(f"{name}: {instead}")
        twice = [k for k in kwargs if k in names and names[k] in (*kwargs, *own[: len(args)])]
        if twice:
            raise TypeError(f"{name}: {twice[0]} and {names[twice[0]]} are the same; give one")
        return {names.get(k, k): v for k, v in kwargs.items()}

    foreign = frozenset(names)

    @wraps(function)
    def accepts(*args: Any, **kwargs: Any) -> Any:
        if not foreign.isdisjoint(kwargs):
            kwargs = renamed(kwargs, args)
        return function(*args, **kwargs)

    return accepts
