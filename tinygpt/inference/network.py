"""A GPT's weights in the form that one decode step takes (kernels/numpy_ref/decode.py).

No weight is copied: the network reads the model's own arrays, float or quantized, as they are now.
LoRA's factors stand beside their matrix there too; of what other methods put in, `settle`
(../adapters/adapt.py) makes something that a step knows, where it can.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, nn
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear
from minigrad.ops.decode import Beside, LayerWeights, Matrix, Network
from tinygpt.adapters.lora import LoRALinear
from tinygpt.model import GPT, LanguageModel, ModelShape
from tinygpt.model.block import Block
from tinygpt.model.gpt import Smear
from tinygpt.model.positions import Positions

NORMS = {"layernorm": (nn.LayerNorm,), "rmsnorm": (nn.RMSNorm,)}


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
    shape, output, learned = model.shape, model.output, model.position_embedding
    positions = _known(model.positions, Positions)
    return Network(
        token=_table(model.token_embedding),
        position=positions.sinusoids if learned is None else _floats(learned),
        layers=tuple(_layer(block, shape) for block in model.layers()),
        norm=_norm(model.norm, shape),
        norm_bias=_bias(model.norm),
        heads=shape.n_heads,
        norm_kind=shape.norm,
        activation=shape.activation,
        eps=shape.eps,
        head=None if output is None else _table(output),
        kv_heads=shape.heads[1],
        head_dim=shape.heads[2],
        rotary=positions.rates,
        bias=_distance_bias(positions, shape),
        window=shape.window,
        norm_place=shape.norm_place,
        softcap=shape.softcap,
        bigrams=None if model.bigrams is None else _table(model.bigrams),
        smear=None if model.smear is None else _known(model.smear, Smear).weight.data,
    )


def _layer(block: Any, shape: ModelShape) -> LayerWeights:
    """block: whatever it is by now."""
    _known(block, Block)
    attention, mlp = _known(block.attention, nn.SelfAttention), _known(block.mlp, nn.MLP)
    q_norm, k_norm = attention.q_norm, attention.k_norm
    return LayerWeights(
        norm1=_norm(block.norm1, shape), norm1_bias=_bias(block.norm1),
        q_norm=None if q_norm is None else _norm(q_norm, shape, nn.RMSNorm),
        k_norm=None if k_norm is None else _norm(k_norm, shape, nn.RMSNorm),
        norm2=_norm(block.norm2, shape), norm2_bias=_bias(block.norm2),
        **_product("qkv", attention.qkv), **_product("proj", attention.proj),
        **_product("up", mlp.up), **_product("down", mlp.down, shape.activation),
    )


def _product(name: str, module: Any, activation: str | None = None) -> dict[str, Any]:
    """The fields of one matrix: itself, its bias, what stands beside it."""
    beside: Beside | None = None
    if type(module) is LoRALinear:
        beside, module = (module.A.data, module.wide().data), module.base
    return {name: _matrix(module, activation), f"{name}_bias": _bias(module),
            f"{name}_beside": beside}


def _distance_bias(positions: Positions, shape: ModelShape) -> np.ndarray | None:
    """(H, sight): what is added to scores, by distance. A copy of what `relative` has learned."""
    if positions.table is not None:
        _table(positions.table)
    bias = positions.bias(np.arange(shape.sight))
    if bias is None:
        return None
    return np.ascontiguousarray(bias.data if isinstance(bias, Tensor) else bias)


def _known(module: Any, *types: type) -> Any:
    """The module, if it is of just one of these types."""
    if type(module) not in types:
        raise _Unknown
    return module


def _norm(norm: Any, shape: ModelShape, *types: type) -> np.ndarray:
    if _known(norm, *(types or NORMS[shape.norm])).eps != shape.eps:
        raise _Unknown
    return norm.weight.data


def _bias(module: Any) -> np.ndarray | None:
    bias = getattr(module, "bias", None)
    return None if bias is None else bias.data


def _table(embedding: Any) -> Matrix:
    known = _known(embedding, nn.Embedding, QuantizedEmbedding)
    return known.packed if type(known) is QuantizedEmbedding else known.weight.data


def _floats(embedding: Any) -> np.ndarray:
    table = _table(embedding)
    return table if isinstance(table, np.ndarray) else embedding.dequantized()


def _matrix(linear: Any, activation: str | None = None) -> Matrix:
    known = _known(linear, nn.Linear, QuantizedLinear)
    if known.activation != activation:
        raise _Unknown
    return known.packed if type(known) is QuantizedLinear else known.weight.data
