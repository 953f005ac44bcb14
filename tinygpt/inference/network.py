"""A GPT's weights in the form that one decode step takes (kernels/numpy_ref/decode.py).

No weight is copied: the network reads the model's own arrays, float or quantized, as they are now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import nn
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear
from minigrad.ops.decode import PANEL, LayerWeights, Matrix, Network
from minigrad.ops.linear import GATED
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
    if (
        shape.positions in ("alibi", "relative") or shape.norm_place == "post" or shape.qk_norm
        or shape.softcap is not None or (shape.window or shape.context) < shape.context
    ):
        raise _Unknown  # yet
    layers = tuple(_layer(block, shape.activation) for block in model.layers())
    output: Any = model.output
    return Network(
        token=_table(model.token_embedding),
        position=_positions(model),
        layers=layers,
        norm=_norm(model.norm),
        norm_bias=_bias(model.norm),
        heads=shape.n_heads,
        norm_kind=shape.norm,
        activation=GATED.get(shape.activation, shape.activation),
        eps=shape.eps,
        head=None if output is None else _table(output),
        kv_heads=shape.heads[1],
        head_dim=shape.heads[2],
        rotary=model.positions.rotary(shape.context),
    )


def _layer(block: Any, activation: str) -> LayerWeights:
    """block: whatever it is by now: _norm and _matrix look closely."""
    attention, mlp = block.attention, block.mlp
    up, gate = _matrix(mlp.up), None
    if activation in GATED:
        gate, up = _halves(up)
        if mlp.up.bias is not None:
            raise _Unknown  # yet
    return LayerWeights(
        norm1=_norm(block.norm1), norm1_bias=_bias(block.norm1),
        qkv=_matrix(attention.qkv), qkv_bias=_bias(attention.qkv),
        proj=_matrix(attention.proj), proj_bias=_bias(attention.proj),
        norm2=_norm(block.norm2), norm2_bias=_bias(block.norm2),
        up=up, up_bias=_bias(mlp.up), gate=gate,
        down=_matrix(mlp.down, activation), down_bias=_bias(mlp.down),
    )


def _positions(model: GPT) -> np.ndarray | None:
    """The vectors that are added to tokens, if there are any."""
    if model.shape.positions == "sinusoidal":
        return model.positions.sinusoids
    table: Any = model.position_embedding
    if table is None:
        return None
    if type(table) is QuantizedEmbedding:
        return table.dequantized()
    if type(table) is nn.Embedding:
        return table.weight.data
    raise _Unknown


def _norm(norm: Any) -> np.ndarray:
    if type(norm) not in (nn.LayerNorm, nn.RMSNorm):
        raise _Unknown
    return norm.weight.data


def _bias(module: Any) -> np.ndarray | None:
    bias = getattr(module, "bias", None)
    return None if bias is None else bias.data


def _table(embedding: Any) -> Matrix:
    if type(embedding) is QuantizedEmbedding:
        return embedding.packed
    if type(embedding) is nn.Embedding:
        return embedding.weight.data
    raise _Unknown


def _matrix(linear: Any, activation: str | None = None) -> Matrix:
    if type(linear) not in (nn.Linear, QuantizedLinear) or linear.activation != activation:
        raise _Unknown
    return linear.packed if type(linear) is QuantizedLinear else linear.weight.data


def _halves(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """The gate's rows, and the rows of what passes it."""
    half = matrix.shape[0] // 2
    if isinstance(matrix, np.ndarray):
        return matrix[:half], matrix[half:]
    if half % PANEL:
        raise _Unknown
    return matrix.panels(0, half), matrix.panels(half, 2 * half)
