"""What the tests know about an operation: an entry of the registry, and the calls it samples.

Read next: vocabulary.py and registry.py, where the entries are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.gradcheck.trees import array, is_float, leaves, rebuild
from minigrad.tensor import Tensor
from minigrad.testing.source import Source

Sampler = Callable[[Source], "Case"]


@dataclass
class Case:
    """One call: positional arguments (arrays, nests of them, None) and keyword settings."""

    args: tuple[Any, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def floats(self) -> list[np.ndarray]:
        """The arguments that have gradients."""
        return [array(leaf) for _, leaf in leaves(self.args) if is_float(leaf)]


@dataclass(frozen=True)
class Op:
    """An operation and what its tests need to know.

    kernels: names in kernels.OPS that it rests on, () if it is written with NumPy.
    domain: in words, where it is defined and differentiable.
    smooth: whether second order says anything (False: piecewise linear).
    """

    name: str
    sample: Sampler
    domain: str
    kernels: tuple[str, ...] = ()
    smooth: bool = True

    def call(self, case: Case, args: Sequence[Any] | None = None) -> Any:
        """The operation on a case's arguments (or on others in their place)."""
        return getattr(ops, self.name)(*(case.args if args is None else args), **case.settings)

    def forward(self, case: Case, dtype: type) -> tuple[list[Tensor], list[Tensor]]:
        """(inputs, outputs) with floating arguments as leaves of a dtype."""
        inputs: list[Tensor] = []

        def leaf(x: Any) -> Any:
            if not is_float(x):
                return x
            inputs.append(Tensor(array(x).astype(dtype), requires_grad=True))
            return inputs[-1]

        args = rebuild(case.args, [leaf(x) for _, x in leaves(case.args)])
        return inputs, [y for _, y in leaves(self.call(case, args)) if is_float(y)]


REGISTRY: dict[str, Op] = {}


def register(
    names: str, domain: str, kernels: str = "", smooth: bool = True
) -> Callable[[Sampler], Sampler]:
    """Decorator of a sampler: enter it under each of the names."""

    def enter(sample: Sampler) -> Sampler:
        for name in names.split():
            REGISTRY[name] = Op(name, sample, domain, tuple(kernels.split()), smooth)
        return sample

    return enter
