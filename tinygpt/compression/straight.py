"""Train a model through the rounding that it will get (quantization-aware training).

    forward     y = round(W) x            the loss is that of the small file
    backward    dW = dy x^T               as if nothing had been rounded

Rounding is a staircase: its slope is 0 wherever it has one, and no gradient would ever reach W. The
straight-through estimator takes the slope for 1 (Bengio et al. 2013). W stays float, small steps
add up in it until a code changes, and what is saved is a float model whose rounding is what was
trained: `tinygpt quantize` makes the file.

Read first: quantize.py. Read next: distillation.py, which trains so (distillation.rounded).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.nn import replace_modules
from minigrad.nn.quantized import dequantize, quantize
from tinygpt.compression.quantize import scheme_of
from tinygpt.weights.quantized import quantizable


def straight(weight: Tensor, scheme: str) -> Tensor:
    """weight (N, K) as it is read back once rounded; its gradient is passed on unchanged."""
    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (dy,)

    rounded = dequantize(quantize(weight.data, scheme)).astype(weight.dtype, copy=False)
    return Tensor(rounded, (weight,), backward)


class StraightLinear(nn.Linear):
    """A Linear that computes as its rounded self and learns as its float one."""

    def __init__(self, linear: nn.Linear, scheme: str):
        self.weight, self.bias, self.activation = linear.weight, linear.bias, linear.activation
        self.scheme = scheme

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        weight = straight(self.weight, self.scheme)
        return ops.linear(x, weight, self.bias, self.activation, residual)


class StraightEmbedding(nn.Embedding):
    """The same of a table, looked up and attended by."""

    def __init__(self, table: nn.Embedding, scheme: str):
        self.weight, self.scheme = table.weight, scheme

    def forward(self, ids: Any) -> Tensor:
        return ops.embedding(straight(self.weight, self.scheme), ids)

    def attend(self, x: Tensor) -> Tensor:
        return ops.linear(x, straight(self.weight, self.scheme))


def straighten(model: Any, scheme: str) -> Any:
    """Put every matrix of a float model through the rounding of a scheme, in place; returns it.

    The parameters, and so a checkpoint, are those of the float model.
    """
    names = {id(module): name for name, module in quantizable(model).items()}

    def made(module: Any) -> nn.Module:
        own = scheme_of(names[id(module)], scheme)
        kind = StraightLinear if isinstance(module, nn.Linear) else StraightEmbedding
        return kind(module, own)

    replace_modules(model, lambda _, module: id(module) in names, made)
    return model
