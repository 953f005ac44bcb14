"""A GPT's weights in the form that one decode step takes (kernels/numpy_ref/decode.py).

No weight is copied: the network reads the model's own arrays, float or quantized, as they are now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear
from minigrad.ops.decode import LayerWeights, Matrix, Network
from tinygpt.model import GPT, LanguageModel


def network_of(model: LanguageModel) -> Network | None:
    """The model's weights, or None if it holds a module that the decode kernel does not know.

    None is the answer for a model that a student has changed: it then generates through its own
    `forward`, more slowly.
    """
    try:
        return _network(model) if type(model) is GPT else None
    except _Unknown:
        return None


class _Unknown(Exception):
    """A module that the decode kernel does not know."""


def _network(model: GPT) -> Network:
    shape = model.shape
    blocks: Any = model.blocks  # whatever they are by now: _norm and _matrix look closely
    layers = tuple(
        LayerWeights(
            norm1=_norm(block.norm1),
            qkv=_matrix(block.attention.qkv),
            proj=_matrix(block.attention.proj),
            norm2=_norm(block.norm2),
            up=_matrix(block.mlp.up),
            down=_matrix(block.mlp.down, shape.activation),
        )
        for block in blocks
    )
    positions: Any = model.position_embedding
    if type(positions) is QuantizedEmbedding:
        position = positions.dequantized()
    elif type(positions) is nn.Embedding:
        position = positions.weight.data
    else:
        raise _Unknown
    return Network(
        token=_table(model.token_embedding),
        position=position,
        layers=layers,
        norm=_norm(model.norm),
        heads=shape.n_heads,
        norm_kind=shape.norm,
        activation=shape.activation,
        eps=blocks[0].norm1.eps,
    )


def _norm(norm: Any) -> np.ndarray:
    if type(norm) not in (nn.LayerNorm, nn.RMSNorm) or getattr(norm, "bias", None) is not None:
        raise _Unknown
    return norm.weight.data


def _table(embedding: Any) -> Matrix:
    if type(embedding) is QuantizedEmbedding:
        return embedding.packed
    if type(embedding) is nn.Embedding:
        return embedding.weight.data
    raise _Unknown


def _matrix(linear: Any, activation: str | None = None) -> Matrix:
    if type(linear) not in (nn.Linear, QuantizedLinear):
        raise _Unknown
    if linear.bias is not None or linear.activation != activation:
        raise _Unknown
    return linear.packed if type(linear) is QuantizedLinear else linear.weight.data
