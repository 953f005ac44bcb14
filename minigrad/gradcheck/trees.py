"""Nested tuples, lists and dicts of arrays, as flat lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.tensor import Tensor


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, leaf) for each leaf in order: leaves((a, {"k": b})) is [("[0]", a), ("['k']", b)]."""
    if isinstance(tree, dict):
        return [leaf for k in tree for leaf in leaves(tree[k], f"{path}[{k!r}]")]
    if isinstance(tree, (tuple, list)):
        return [leaf for i, x in enumerate(tree) for leaf in leaves(x, f"{path}[{i}]")]
    return [(path, tree)]


def rebuild(tree: Any, values: Sequence[Any]) -> Any:
    """The same nesting as `tree` with `values` as its leaves."""
    source = iter(values)

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {k: walk(x) for k, x in node.items()}
        if isinstance(node, tuple) and hasattr(node, "_fields"):
            return type(node)(*[walk(x) for x in node])
        if isinstance(node, (tuple, list)):
            return type(node)(walk(x) for x in node)
        return next(source)

    return walk(tree)


def array(leaf: Any) -> np.ndarray:
    """A leaf's array, Tensor or not."""
    return leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf)


def is_float(leaf: Any) -> bool:
    """Whether a leaf can have a gradient: floating arrays can; integers, None, settings cannot."""
    return isinstance(leaf, (Tensor, np.ndarray, np.generic)) and array(leaf).dtype.kind == "f"
