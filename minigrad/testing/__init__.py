"""Test material for operations: strategies, a registry of every op, and the chain of trust.

`from minigrad.testing import tensors, op_cases` needs hypothesis; the registry does not.
"""

from typing import Any

from minigrad.testing.registry import REGISTRY, Case, Op
from minigrad.testing.source import RandomSource, Source

__all__ = [
    "REGISTRY", "Case", "Op", "RandomSource", "Source", "arrays", "broadcasting_pairs",
    "broadcasting_shapes", "op_cases", "shapes", "tensors",
]


def __getattr__(name: str) -> Any:
    """The strategies import hypothesis, so only when they are asked for."""
    if name in __all__:
        from minigrad.testing import strategies

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
