"""One token through the whole network: the step that generation repeats.

    x = token[id] + position[p]
    for each layer:  x += proj(attention(qkv(norm1(x))));   x += down(act(up(norm2(x))))
    logits = norm(x) token^T

It is the model of tinygpt/model once more, as one kernel, because one token has too little work
for forty calls from Python: for config M the arithmetic takes half a millisecond, and so would the
calls. Any matrix may be float32 or Packed. Here it is composed of the reference's other kernels;
in C it is one call that wakes the threads once.

Also written in: numba_jit/decode.py, c/decode.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from kernels import checks, numpy_ref
from kernels.numpy_ref.linear import activate
from kernels.packing import Packed, dequantize

Matrix = np.ndarray | Packed  # (N, K), float32 or quantized


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One block's weights; a norm is its scale (C,), the MLP is C -> F -> C."""

    norm1: np.ndarray
    qkv: Matrix  # (3 C, C): queries of all heads, then keys, then values
    proj: Matrix  # (C, C)
    norm2: np.ndarray
    up: Matrix  # (F, C)
    down: Matrix  # (C, F)


@dataclass(frozen=True, eq=False)
class Network:
    """A GPT's weights and what else one step must know."""

    token: Matrix  # (V, C), also the output projection
    position: np.ndarray  # (context, C) float32
    layers: tuple[LayerWeights, ...]
    norm: np.ndarray  # (C,)
    heads: int
    norm_kind: str  # "layernorm" or "rmsnorm"
    activation: str  # "gelu" or "relu2"
    eps: float = 1e-5


def decode_step(ids, network: Network, keys, values, position: int):
    """Feed one token to each of B sequences and score what follows it.

    ids: (B,) int; keys, values: (L, B, context, H, D) float32, positions before `position` filled,
    the new one is written.  Returns logits (B, V) float32.
    Raises IndexError for an id outside the vocabulary, ValueError for a position outside the cache.
    """
    check_decode(ids, network, keys, values, position)
    return decode_with(numpy_ref, ids, network, keys, values, position)


def check_decode(ids, network: Network, keys, values, position: int) -> None:
    """The checks of decode_step, for every backend."""
    V, C = network.token.shape
    shape = (len(network.layers), len(ids), keys.shape[2], network.heads, C // network.heads)
    if keys.shape != shape or values.shape != shape:
        raise ValueError(f"decode_step: keys {keys.shape}, values {values.shape} must be {shape}")
    if not 0 <= position < min(keys.shape[2], len(network.position)):
        raise ValueError(f"decode_step: position {position} is outside the cache {keys.shape}")
    checks.ids("decode_step", ids, V)


def decode_with(ops: ModuleType, ids, network: Network, keys, values, position: int):
    """decode_step in terms of another backend's linear, norms and attention."""
    B, C = len(ids), network.token.shape[1]
    heads = (B, 1, network.heads, C // network.heads)
    stream = rows_of(network.token, ids) + network.position[position]  # (B, C)
    for layer, k, v in zip(network.layers, keys, values, strict=True):
        qkv = linear(ops, norm(ops, stream, layer.norm1, network), layer.qkv)  # (B, 3 C)
        q, k_new, v_new = (part.reshape(heads) for part in np.split(qkv, 3, axis=-1))
        k[:, position], v[:, position] = k_new[:, 0], v_new[:, 0]
        seen = position + 1
        y, _ = ops.attention_forward(q, k[:, :seen], v[:, :seen])
        stream = linear(ops, y.reshape(B, C), layer.proj, residual=stream)
        h = norm(ops, stream, layer.norm2, network)
        h = activate(linear(ops, h, layer.up), network.activation, ops.gelu_forward)
        stream = linear(ops, h, layer.down, residual=stream)
    return linear(ops, norm(ops, stream, network.norm, network), network.token)


def rows_of(matrix: Matrix, ids):
    """Rows of a float or packed matrix, float32."""
    return dequantize(matrix, ids) if isinstance(matrix, Packed) else matrix[ids]


def norm(ops: ModuleType, x, weight, network: Network):
    """The network's norm of the rows of x."""
    forward = getattr(ops, f"{network.norm_kind}_forward")
    return forward(x, weight, eps=network.eps)[0]


def linear(ops: ModuleType, x, weight: Matrix, residual=None):
    """The dense layer that fits the matrix."""
    if isinstance(weight, Packed):
        forward = getattr(ops, f"linear_{weight.scheme}_forward")
        return forward(x, weight, None, residual)
    return ops.linear_forward(x, weight, residual=residual)
