"""Functions as modules: activations, losses, Flatten, so that they fit between layers.

None of them has parameters. The function is in minigrad.ops; here is only its place in a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import ops
from minigrad.nn.module import Module
from minigrad.tensor import Tensor


class Function(Module):
    """A function of one Tensor, as Sequential holds it."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)

    def __repr__(self) -> str:
        return f"Function({getattr(self.function, '__name__', self.function)})"


class Identity(Module):
    """x as it is."""

    def forward(self, x: Any) -> Any:
        return x


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class GELU(Module):
    """GELU in its tanh form, GPT-2's; PyTorch's default is the exact one (up to 5e-4 away).

    Raises ValueError for approximate="none".
    """

    def __init__(self, approximate: str = "tanh"):
        if approximate != "tanh":
            raise ValueError(f"GELU: only approximate='tanh' is here, not {approximate!r}")

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x)


class Softmax(Module):
    """Softmax over an axis.  dim: PyTorch's name for it."""

    def __init__(self, dim: int = -1):
        self.axis = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.axis)


class LogSoftmax(Module):
    """The logarithm of softmax over an axis.  dim: PyTorch's name for it."""

    def __init__(self, dim: int = -1):
        self.axis = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.axis)


class Flatten(Module):
    """The axes from start_dim to end_dim as one: (B, ...) -> (B, n)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start, self.end = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x, self.start, self.end)


class CrossEntropyLoss(Module):
    """Mean cross entropy of logits (..., V) and integer targets (...), in nats.

    ignore_index: targets that do not count.
    """

    def __init__(self, ignore_index: int | None = -100, label_smoothing: float = 0.0):
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits: Tensor, targets: Any) -> Tensor:
        return ops.cross_entropy(logits, targets, self.label_smoothing, self.ignore_index)


class MSELoss(Module):
    """Mean squared difference of two tensors of one shape."""

    def forward(self, x: Tensor, target: Any) -> Tensor:
        return ops.mse_loss(x, target)
