"""Bytes that one accelerator needs: ZeRO 0 to 3, checkpointed activations, pipelines.

Mixed precision with Adam keeps 16 bytes a parameter: 2 for the weight, 2 for its gradient, 12 for
the optimizer (the weight again and two moments, in 32 bits). ZeRO divides them among the d ranks
that hold the same layers, the optimizer's first, since it is largest and needed only once a step:

    stage 0: 16       1: 4 + 12/d       2: 2 + 14/d       3: 16/d       bytes a parameter

Activations are counted per layer and microbatch, in bytes of s b h (context, sequences, width):
34 of them without what attention stores, and 5 a s / h more for its probabilities; of the 34 tensor
parallelism divides 24, with sequence parallelism all. Recomputed, only the layer's input is left.

Sources: Rajbhandari et al. 2020 (ZeRO); Korthikanti et al. 2022, equations 1 to 4.
Read next: step.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tinygpt.cluster.shape import Cut, Model

WEIGHT, GRADIENT, OPTIMIZER = 2.0, 2.0, 12.0  # bytes a parameter
WIDE = 4.0  # of a gradient that is kept in 32 bits as well


class Memory(NamedTuple):
    """Bytes of the fullest accelerator (the first stage keeps the most)."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


def states(parameters: float, data: int, zero: int) -> tuple[float, float, float]:
    """Bytes of (weights, gradients, optimizer) of so many parameters on one of `data` ranks."""
    if zero not in range(4):
        raise ValueError(f"ZeRO has stages 0 to 3, not {zero}")
    share = [1 / data if zero >= stage else 1.0 for stage in (3, 2, 1)]
    parts = zip((WEIGHT, GRADIENT, OPTIMIZER), share, strict=True)
    weights, gradients, optimizer = (parameters * size * part for size, part in parts)
    return weights, gradients, optimizer


def kept(model: Model, cut: Cut) -> float:
    """Bytes that one layer keeps of one microbatch until its backward, nothing recomputed."""
    return elementwise(model, cut) + 5 * scores(model, cut)


def elementwise(model: Model, cut: Cut) -> float:
    """Bytes that a layer keeps beside attention's probabilities."""
    whole, divided = (0, 34) if cut.sequence else (10, 24)
    return model.context * cut.micro * model.width * (whole + divided / cut.tensor)


def scores(model: Model, cut: Cut) -> float:
    """Pairs of query and key whose probability is stored, in all heads of a layer."""
    if cut.fused:
        return 0.0
    return model.heads * model.context**2 * cut.micro / cut.tensor


def in_flight(cut: Cut, micros: int) -> float:
    """Microbatches, in whole stages' worth, that the first stage keeps at most."""
    p, v = cut.pipeline, cut.chunks
    if v == 1:
        return min(p, micros)
    return min(p * (1 + (p - 1) / (p * v)), micros)


def memory(model: Model, cut: Cut, batch: int) -> Memory:
    """Of a training whose step takes `batch` sequences."""
    layers = math.ceil(model.layers / cut.pipeline)
    parameters = (layers * model.layer + model.table) / cut.tensor
    one = kept(model, cut)
    flying = in_flight(cut, cut.micros(batch))
    if cut.recompute:
        inputs = 2.0 * model.context * cut.micro * model.width
        inputs /= cut.tensor if cut.sequence else 1
        activations = flying * layers * inputs + one
    else:
        activations = flying * layers * one
    weights, gradients, optimizer = states(parameters, cut.data, cut.zero)
    gradients += cut.widened * parameters * WIDE
    return Memory(weights, gradients, optimizer, activations)
