"""One token through the whole network: the step that generation repeats.

    x = token[id] + position[p]
    for each layer:  x += proj(attention(qkv(norm1(x))));   x += down(act(up(norm2(x))))
    logits = head(norm(x))

A network is described by its parts, and most of them may be missing. With what is above it is
GPT-2's kind; LLaMA's kind has no position table and no biases, but rotary tables, fewer key heads
than heads, and a gate: act(gate(h)) * up(h) in place of act(up(h)).

It is the model of tinygpt/model once more, as one kernel, because one token has too little work
for forty calls from Python: for config M the arithmetic takes half a millisecond, and so would the
calls. Any matrix may be float32 or Packed. Here it is composed of the reference's other kernels;
in C it is one call that wakes the threads once.

Also written in: numba_jit/decode.py, c/decode.c.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.linear import activate
from kernels.packing import Packed, dequantize

Matrix = np.ndarray | Packed  # (N, K), float32 or quantized


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One block's weights; a norm is its scale (C,), the MLP is C -> F -> C."""

    norm1: np.ndarray
    qkv: Matrix  # ((H + 2 Hkv) D, C): queries of all heads, then keys, then values
    proj: Matrix  # (C, H D)
    norm2: np.ndarray
    up: Matrix  # (F, C)
    down: Matrix  # (C, F)
    gate: Matrix | None = None  # (F, C)
    norm1_bias: np.ndarray | None = None  # a bias has its matrix's rows, or its norm's length
    qkv_bias: np.ndarray | None = None
    proj_bias: np.ndarray | None = None
    norm2_bias: np.ndarray | None = None
    up_bias: np.ndarray | None = None
    down_bias: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """A GPT's weights and what else one step must know.

    Its arrays are not copied: what is written to them later counts in the next step.
    Raises ValueError where a part's shape does not fit the others or an array is not C-contiguous,
    TypeError for an array that is not float32.
    """

    token: Matrix  # (V, C)
    position: np.ndarray | None  # (context, C) float32
    layers: tuple[LayerWeights, ...]
    norm: np.ndarray  # (C,)
    heads: int  # H
    norm_kind: str  # "layernorm" or "rmsnorm"
    activation: str  # as of `linear`
    eps: float = 1e-5
    norm_bias: np.ndarray | None = None
    head: Matrix | None = None  # (V', C), the output projection; None: token, tied
    head_bias: np.ndarray | None = None  # (V',)
    kv_heads: int | None = None  # Hkv, key and value heads, each for H / Hkv heads; None: H
    head_dim: int | None = None  # D; None: C / H
    rotary: tuple[np.ndarray, np.ndarray] | None = None  # cos, sin (context, D / 2) float32

    @property
    def output(self) -> Matrix:
        """The output projection (V', C)."""
        return self.token if self.head is None else self.head

    @property
    def head_shape(self) -> tuple[int, int, int]:
        """(H, Hkv, D)."""
        H = self.heads
        return H, self.kv_heads or H, self.head_dim or self.token.shape[1] // H

    def __post_init__(self) -> None:
        C = self.token.shape[-1]
        _fits("token", self.token, (self.token.shape[0], C))
        if self.heads < 1:
            raise ValueError(f"Network: heads must be at least 1, not {self.heads}")
        H, Hkv, D = self.head_shape
        checks.heads("Network", H, Hkv, D)
        if self.norm_kind not in ("layernorm", "rmsnorm"):
            raise ValueError(f"Network: unknown norm {self.norm_kind!r}; layernorm or rmsnorm")
        if self.activation not in checks.ACTIVATIONS:
            choices = ", ".join(checks.ACTIVATIONS)
            raise ValueError(f"Network: unknown activation {self.activation!r}; choose {choices}")
        if self.position is not None:
            _fits("position", self.position, (len(self.position), C))
        if self.rotary is not None:
            if D % 2:
                raise ValueError(f"Network: rotary turns pairs of coordinates, a head has {D}")
            for table in self.rotary:
                _fits("rotary", table, (len(self.rotary[0]), D // 2))
        V = self.output.shape[0]
        _fits("head", self.output, (V, C))
        _fits("head_bias", self.head_bias, (V,))
        self._fits_norm("norm", self)
        for layer in self.layers:
            self._fits_norm("norm1", layer)
            self._fits_norm("norm2", layer)
            F = layer.up.shape[0]
            matrices = {"qkv": ((H + 2 * Hkv) * D, C), "proj": (C, H * D), "up": (F, C),
                        "down": (C, F), "gate": (F, C)}
            for name, shape in matrices.items():
                _fits(name, getattr(layer, name), shape)
                _fits(f"{name}_bias", getattr(layer, f"{name}_bias", None), shape[:1])

    def _fits_norm(self, name: str, owner: Network | LayerWeights) -> None:
        bias = getattr(owner, f"{name}_bias")
        _fits(name, getattr(owner, name), self.token.shape[1:])
        _fits(f"{name}_bias", bias, self.token.shape[1:])
        if bias is not None and self.norm_kind == "rmsnorm":
            raise ValueError(f"Network: rmsnorm has no bias, but {name}_bias is given")


def _fits(name: str, part: Matrix | None, shape: tuple[int, ...]) -> None:
    """Raise unless a part is missing or has its shape and lies in memory as C reads it."""
    if part is None:
        return
    if part.shape != shape:
        raise ValueError(f"Network: {name} {part.shape} must be {shape}")
    if isinstance(part, Packed):  # has been checked when it was made
        return
    if part.dtype != np.float32:
        raise TypeError(f"Network: {name} must be float32, not {part.dtype}; cast it")
    if not (part.flags.c_contiguous and part.flags.aligned):
        raise ValueError(f"Network: {name} {part.shape} must be C-contiguous and aligned")


def decode_step(ids, network: Network, keys, values, positions):
    """Feed one token to each of B sequences, each at its own position, and score what follows it.

    ids, positions: (B,) int; keys, values: (L, B, context, Hkv, D) float32: row b's before
    positions[b] are filled, the one at positions[b] is written.  Both lie contiguous and share no
    memory (ValueError); what else is given is only read.
    Returns logits (B, V') float32.
    Raises IndexError for an id outside the vocabulary, ValueError for a position outside the cache
    or the network's tables.
    """
    check_decode(ids, network, keys, values, positions)
    ops = sys.modules[__package__]  # the other kernels of this backend, whole by now
    return decode_with(ops, ids, network, keys, values, positions)


def check_decode(ids, network: Network, keys, values, positions) -> None:
    """The checks of decode_step, for every backend."""
    _, Hkv, D = network.head_shape
    sizes = {"L": len(network.layers), "Hkv": Hkv, "D": D}
    contracts.decode_step.ready(ids, positions, keys, values, **sizes)
    checks.apart("decode_step", {"keys": keys, "values": values}, {})
    checks.ids("decode_step", ids, network.token.shape[0])
    end = context_of(network, keys)
    outside = (positions < 0) | (positions >= end)
    if outside.any():
        wrong = int(positions[outside][0])
        raise ValueError(f"decode_step: position {wrong} is outside the {end} of cache and tables")


def context_of(network: Network, keys) -> int:
    """Positions that the cache and the network's tables have room for."""
    tables = [network.position, *(network.rotary or ())]
    return min([keys.shape[2], *(len(table) for table in tables if table is not None)])


def decode_with(ops: ModuleType, ids, network: Network, keys, values, positions):
    """decode_step in terms of another backend's linear, norms and attention."""
    stream = rows_of(network.token, ids)  # (B, C)
    if network.position is not None:
        stream = stream + network.position[positions]
    for layer, k, v in zip(network.layers, keys, values, strict=True):
        h = norm(ops, stream, layer.norm1, layer.norm1_bias, network)
        h = linear(ops, h, layer.qkv, layer.qkv_bias)
        h = attention(ops, h, k, v, positions, network)
        stream = linear(ops, h, layer.proj, layer.proj_bias, stream)
        h = norm(ops, stream, layer.norm2, layer.norm2_bias, network)
        h = hidden(ops, h, layer, network.activation)
        stream = linear(ops, h, layer.down, layer.down_bias, stream)
    h = norm(ops, stream, network.norm, network.norm_bias, network)
    return linear(ops, h, network.output, network.head_bias)


def attention(ops: ModuleType, qkv, keys, values, positions, network: Network):
    """Store each row's new key and value; its queries see all of the row's up to there.

    qkv: (B, (H + 2 Hkv) D); keys, values: (B, context, Hkv, D), one layer's.  Returns (B, H D).
    """
    H, Hkv, D = network.head_shape
    parts = np.split(qkv, [H * D, (H + Hkv) * D], axis=-1)
    counts = zip(parts, (H, Hkv, Hkv), strict=True)
    q, k, v = (part.reshape(len(qkv), n, D) for part, n in counts)  # (B, H, D), (B, Hkv, D) twice
    if network.rotary is not None:
        cos, sin = (table[positions][:, None] for table in network.rotary)  # (B, 1, D / 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    y = np.empty_like(q)
    for b, position in enumerate(positions.tolist()):
        keys[b, position], values[b, position] = k[b], v[b]
        row, seen = slice(b, b + 1), slice(position + 1)
        y[row] = ops.attention_forward(q[row, None], keys[row, seen], values[row, seen])[0][:, 0]
    return y.reshape(len(qkv), H * D)


def rotate(x, cos, sin):
    """Turn the pairs (x_d, x_{d + D/2}) by angles that grow with the position.

    x: (..., D); cos, sin: (..., D / 2).  Turned so, q . k depends on the distance of their
    positions alone.  Source: Su et al. 2021 (RoFormer), with a pair's halves D / 2 apart.
    """
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def hidden(ops: ModuleType, x, layer: LayerWeights, activation: str):
    """act(up(x)), or with a gate act(gate(x)) up(x) (Shazeer 2020).  x: (B, C) -> (B, F)."""
    up = linear(ops, x, layer.up, layer.up_bias)
    if layer.gate is None:
        return activate(up, activation, ops.gelu_forward)
    return activate(linear(ops, x, layer.gate), activation, ops.gelu_forward) * up


def rows_of(matrix: Matrix, ids):
    """Rows of a float or packed matrix, float32."""
    return dequantize(matrix, ids) if isinstance(matrix, Packed) else matrix[ids]


def norm(ops: ModuleType, x, weight, bias, network: Network):
    """The network's norm of the rows of x."""
    if network.norm_kind == "rmsnorm":
        return ops.rmsnorm_forward(x, weight, eps=network.eps)[0]
    return ops.layernorm_forward(x, weight, bias, eps=network.eps)[0]


def linear(ops: ModuleType, x, weight: Matrix, bias=None, residual=None):
    """The dense layer that fits the matrix."""
    if isinstance(weight, Packed):
        return getattr(ops, f"linear_{weight.scheme}_forward")(x, weight, bias, residual)
    return ops.linear_forward(x, weight, bias, residual=residual)
