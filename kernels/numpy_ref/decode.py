"""One token through the whole network: the step that generation repeats.

    x = token[id] + position[p]
    for each layer:  x += proj(attention(qkv(norm1(x))));   x += down(act(up(norm2(x))))
    logits = head(norm(x))

A network is described by its parts, and most of them may be missing. With what is above it is
GPT-2's kind; LLaMA's kind has no position table and no biases, but rotary angles, fewer key heads
than heads, and a gate. Post-norm (the original transformer's) is

    x = norm(token[id] + position[p])
    for each layer:  x = norm1(x + proj(attention(qkv(x))));   x = norm2(x + down(act(up(x))))
    logits = head(x)

**The cache is a ring.** A sequence's key and value at position p lie at place p mod R of its R
places, so the token at p sees the last R positions, itself included, and what is older has been
overwritten: nothing is moved and nothing grows, however long the text. A key is kept as it was
turned at its own position; scores depend on distances alone, so it stays right while positions go
on. (A table of position vectors ends; there the text ends with it.)

**Or in bytes.** An int8 cache holds each head's key and value as codes with a scale (heads.py), a
quarter of the memory. They are rounded when they are stored, and what a token sees, its own key
too, is what the bytes stand for: so a step says the same whatever wrote them.

**Several texts, several tokens of one.** `slots` says to which of the cache's S sequences each
token belongs, so that texts may join and leave a batch from one step to the next and nothing is
moved. A slot may occur more than once: then these are the next tokens of one text (a piece of a
prompt), and each layer stores all keys before anybody looks. Every token's numbers are those that
it would have had alone, whoever else is in the batch: each sum is over one token's own numbers, and
in C in an order that the batch does not change, so that they are equal to the bit.

It is the model of tinygpt/model once more, as one kernel, because one token has too little work
for forty calls from Python: for config M the arithmetic takes half a millisecond, and so would the
calls. Any matrix may be float32 or Packed, and have two thin ones beside it (LoRA's): then it is
W + U A, which is never made, so that many adapters share one W. Here it is composed of the
reference's other kernels; in C it is one call that wakes the threads once.

Also written in: numba_jit/decode.py, c/decode.c.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.attention import rotate
from kernels.numpy_ref.heads import SCALE_BYTES, restore_heads, round_heads
from kernels.numpy_ref.linear import activate
from kernels.packing import Packed, dequantize

Matrix = np.ndarray | Packed  # (N, K), float32 or quantized
Beside = tuple[np.ndarray, np.ndarray]  # A (R, K), U (N, R), float32: U A is added to a Matrix
PRODUCTS = ("qkv", "proj", "up", "down")
NO_TOKEN = -1  # in place of an id, where a text begins
FARTHEST = 2**31  # positions: an angle in float64 is still right to 1e-6 there


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One block's weights; a norm is its scale (C,), the MLP is C -> F -> C."""

    norm1: np.ndarray
    qkv: Matrix  # ((H + 2 Hkv) D, C): queries of all heads, then keys, then values
    proj: Matrix  # (C, H D)
    norm2: np.ndarray
    up: Matrix  # (F, C), or with a gate (2 F, C): the gate's rows, then what passes it
    down: Matrix  # (C, F)
    norm1_bias: np.ndarray | None = None  # a bias has its matrix's rows, or its norm's length
    qkv_bias: np.ndarray | None = None
    proj_bias: np.ndarray | None = None
    norm2_bias: np.ndarray | None = None
    up_bias: np.ndarray | None = None
    down_bias: np.ndarray | None = None
    q_norm: np.ndarray | None = None  # (D,), of the RMS norm of each query's head
    k_norm: np.ndarray | None = None  # (D,), of each key's
    qkv_beside: Beside | None = None
    proj_beside: Beside | None = None
    up_beside: Beside | None = None
    down_beside: Beside | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """A GPT's weights and what else one step must know.

    Its arrays are not copied: what is written to them later counts in the next step.
    Raises ValueError where a part's shape does not fit the others or an array is not C-contiguous,
    TypeError for an array that is not float32 (`rotary`: float64).
    """

    token: Matrix  # (V, C)
    position: np.ndarray | None  # (context, C) float32
    layers: tuple[LayerWeights, ...]
    norm: np.ndarray  # (C,)
    heads: int  # H
    norm_kind: str  # "layernorm" or "rmsnorm"
    activation: str  # as of `linear`, which may be a gate
    eps: float = 1e-5  # of every norm
    norm_bias: np.ndarray | None = None
    head: Matrix | None = None  # (V', C), the output projection; None: token, tied
    head_bias: np.ndarray | None = None  # (V',)
    kv_heads: int | None = None  # Hkv, key and value heads, each for H / Hkv heads; None: H
    head_dim: int | None = None  # D; None: C / H
    rotary: np.ndarray | None = None  # (R,) float64, 2 R <= D: radians a position, of each pair
    bias: np.ndarray | None = None  # (H, distances): added to the score of a key so far back
    window: int | None = None  # positions that a token sees, itself included; None: all kept ones
    norm_place: str = "pre"  # or "post"
    softcap: float | None = None  # logits become cap tanh(logit / cap)
    smear: np.ndarray | None = None  # (C,): smear token[the id before] is added to token[id]
    bigrams: Matrix | None = None  # ((V + 1) V, C): and row V (the id before + 1) + id of this

    @property
    def output(self) -> Matrix:
        """The output projection (V', C)."""
        return self.token if self.head is None else self.head

    @property
    def looks_back(self) -> bool:
        """Whether a token's vector depends on the token before it."""
        return self.smear is not None or self.bigrams is not None

    @property
    def head_shape(self) -> tuple[int, int, int]:
        """(H, Hkv, D)."""
        H = self.heads
        return H, self.kv_heads or H, self.head_dim or self.token.shape[1] // H

    @property
    def positions(self) -> int:
        """Positions that there are: as many as the table has, or FARTHEST."""
        return FARTHEST if self.position is None else len(self.position)

    def sight(self, places: int) -> int:
        """Positions that a token sees at most, of a cache of that many places."""
        return min(places, self.window or places)

    def __post_init__(self) -> None:
        self._check_settings()
        C, (H, Hkv, D) = self.token.shape[-1], self.head_shape
        _fits("token", self.token, (self.token.shape[0], C))
        if self.position is not None:
            _fits("position", self.position, (len(self.position), C))
        _fits("smear", self.smear, (C,))
        _fits("bigrams", self.bigrams, ((self.token.shape[0] + 1) * self.token.shape[0], C))
        if self.bias is not None:
            _fits("bias", self.bias, (H, self.bias.shape[-1]))
        if self.rotary is not None:
            self._check_rotary(self.rotary, D)
        V = self.output.shape[0]
        _fits("head", self.output, (V, C))
        _fits("head_bias", self.head_bias, (V,))
        self._fits_norm("norm", self)
        for layer in self.layers:
            self._fits_norm("norm1", layer)
            self._fits_norm("norm2", layer)
            _fits("q_norm", layer.q_norm, (D,))
            _fits("k_norm", layer.k_norm, (D,))
            F = layer.down.shape[-1]
            up = 2 * F if self.activation in checks.GATED else F
            matrices = {"qkv": ((H + 2 * Hkv) * D, C), "proj": (C, H * D), "up": (up, C),
                        "down": (C, F)}
            for name, shape in matrices.items():
                _fits(name, getattr(layer, name), shape)
                _fits(f"{name}_bias", getattr(layer, f"{name}_bias"), shape[:1])
                _fits_beside(name, getattr(layer, f"{name}_beside"), shape)

    def _check_settings(self) -> None:
        if self.heads < 1:
            raise ValueError(f"Network: heads must be at least 1, not {self.heads}")
        checks.heads("Network", *self.head_shape)
        choices = {"norm_kind": ("layernorm", "rmsnorm"), "norm_place": ("pre", "post"),
                   "activation": (*checks.ACTIVATIONS, *checks.GATED)}
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"Network: unknown {name} {value!r}; choose {', '.join(known)}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"Network: window must be at least 1 (itself), not {self.window}")
        if self.softcap is not None and not self.softcap > 0:
            raise ValueError(f"Network: softcap must be above 0, not {self.softcap}")

    def _check_rotary(self, rates: np.ndarray, D: int) -> None:
        if rates.ndim != 1 or 2 * len(rates) > D:
            raise ValueError(
                f"Network: rotary {rates.shape} must be (R,), 2 R <= {D}, the size of a head"
            )
        _fits("rotary", rates, rates.shape, np.float64)

    def _fits_norm(self, name: str, owner: Network | LayerWeights) -> None:
        bias = getattr(owner, f"{name}_bias")
        _fits(name, getattr(owner, name), self.token.shape[1:])
        _fits(f"{name}_bias", bias, self.token.shape[1:])
        if bias is not None and self.norm_kind == "rmsnorm":
            raise ValueError(f"Network: rmsnorm has no bias, but {name}_bias is given")


def _fits(
    name: str, part: Matrix | None, shape: tuple[int, ...], dtype: type = np.float32
) -> None:
    """Raise unless a part is missing or has its shape and lies in memory as C reads it."""
    if part is None:
        return
    if part.shape != shape:
        raise ValueError(f"Network: {name} {part.shape} must be {shape}")
    if isinstance(part, Packed):  # has been checked when it was made
        return
    if part.dtype != dtype:
        raise TypeError(f"Network: {name} must be {dtype.__name__}, not {part.dtype}; cast it")
    if not (part.flags.c_contiguous and part.flags.aligned):
        raise ValueError(f"Network: {name} {part.shape} must be C-contiguous and aligned")


def _fits_beside(name: str, beside: Beside | None, shape: tuple[int, int]) -> None:
    """Raise unless A and U are missing or give a matrix of that shape."""
    if beside is not None:
        A, U = beside
        _fits(f"{name}_beside's A", A, (len(A), shape[1]))
        _fits(f"{name}_beside's U", U, (shape[0], len(A)))


def decode_step(
    ids, network: Network, keys, values, positions, slots=None, scored: int | None = None,
    before=None,
):
    """Feed B tokens to their sequences, each at its own position, and score what follows.

    ids, positions: (B,) int; keys, values: (L, S, places, Hkv, D) float32, or (..., D + 4) int8:
    those of a sequence's last `places` positions before a token's are filled, the one at its own is
    written, at place positions[b] mod places.  Both lie contiguous and share no memory
    (ValueError); what else is given is only read.
    slots: (B,) int, each token's sequence among the S; None: as many as S, in their order.
    The positions of one sequence's tokens follow one another, in whatever order they are given.
    scored: logits are asked for of so many tokens, the first ones; None: of all.
    before: (B,) int, the token before each in its text, NO_TOKEN where it begins: read by a network
    that looks back alone, which cannot do without (ValueError).
    A token sees the last min(places, window) positions, itself included.  So a step over a ring
    that has come round equals the same token's row of a pass over the whole text in which each
    query sees that many keys: with several layers, what a key holds was gathered from keys that
    are overwritten by now, and reaches back L (places - 1) positions.
    Returns logits (scored, V') float32.
    Raises IndexError for an id outside the vocabulary or a slot outside the cache, ValueError for a
    position outside the network's table (without one, from FARTHEST on), a cache with more places
    than `bias` has distances, or tokens of one sequence that leave one out or overwrite a key that
    one of them sees.
    """
    check_decode(ids, network, keys, values, positions, slots, scored, before)
    ops = sys.modules[__package__]  # the other kernels of this backend, whole by now
    return decode_with(ops, ids, network, keys, values, positions, slots, scored, before)


def check_decode(
    ids, network: Network, keys, values, positions, slots=None, scored: int | None = None,
    before=None,
) -> None:
    """The checks of decode_step, for every backend."""
    _, Hkv, D = network.head_shape
    sizes = {"L": len(network.layers), "Hkv": Hkv, "D": D}
    contract = contracts.decode_step
    if getattr(keys, "dtype", None) == np.int8:
        contract = contracts.decode_step_int8
        sizes["D + 4"] = sizes.pop("D") + SCALE_BYTES
    if slots is None:
        sizes["S"] = np.size(ids)  # the contract refuses ids without an axis
    contract.ready(ids, positions, keys, values, slots, before, **sizes)
    checks.apart("decode_step", {"keys": keys, "values": values}, {})
    checks.ids("decode_step", ids, network.token.shape[0])
    places = keys.shape[2]
    if places < 1:
        raise ValueError(f"decode_step: keys {keys.shape} have no place to write to")
    if network.bias is not None and network.bias.shape[1] < network.sight(places):
        raise ValueError(
            f"decode_step: bias has {network.bias.shape[1]} distances, a token sees "
            f"{network.sight(places)} positions"
        )
    outside = (positions < 0) | (positions >= network.positions)
    if outside.any():
        wrong = int(positions[outside][0])
        raise ValueError(
            f"decode_step: position {wrong} is outside the {network.positions} positions there are"
        )
    if scored is not None and not 0 <= scored <= len(ids):
        raise ValueError(f"decode_step: scored is {scored}, of {len(ids)} tokens")
    if network.looks_back:
        if before is None:
            raise ValueError(
                "decode_step: this network looks back; give `before`, each token's last"
            )
        checks.ids("decode_step", before[before != NO_TOKEN], network.token.shape[0])
    if slots is not None:
        checks.ids("decode_step", slots, keys.shape[1])
        check_pieces(slots.tolist(), positions.tolist(), places, network.sight(places))


def check_pieces(slots: list[int], positions: list[int], places: int, sight: int) -> None:
    """Raise ValueError unless each sequence's tokens follow one another and spare what they see."""
    pieces: dict[int, list[int]] = {}
    for slot, position in zip(slots, positions, strict=True):
        pieces.setdefault(slot, []).append(position)
    for slot, piece in pieces.items():
        piece.sort()
        for before, position in pairwise(piece):
            if position != before + 1:
                raise ValueError(
                    f"decode_step: position {position} of sequence {slot} follows {before}"
                )
        if piece[-1] >= places and piece[-1] - piece[0] > places - sight:
            raise ValueError(
                f"decode_step: position {piece[-1]} overwrites a key that position {piece[0]} "
                f"of sequence {slot} sees; give fewer tokens at once"
            )


def decode_with(
    ops: ModuleType, ids, network: Network, keys, values, positions, slots=None, scored=None,
    before=None,
):
    """decode_step in terms of another backend's linear, norms and attention."""
    slots = range(len(ids)) if slots is None else slots.tolist()

    def normed(x, weight, bias):  # the norm that a half begins with, or the head
        return norm(ops, x, weight, bias, network) if network.norm_place == "pre" else x

    def settled(x, weight, bias):  # or ends with, or the embedding
        return norm(ops, x, weight, bias, network) if network.norm_place == "post" else x

    stream = rows_of(network.token, ids)  # (B, C)
    if network.smear is not None:
        follows = before != NO_TOKEN
        stream[follows] += network.smear * rows_of(network.token, before[follows])
    if network.bigrams is not None:
        stream += rows_of(network.bigrams, (before - NO_TOKEN) * network.token.shape[0] + ids)
    if network.position is not None:
        stream = stream + network.position[positions]
    stream = settled(stream, network.norm, network.norm_bias)
    for layer, k, v in zip(network.layers, keys, values, strict=True):
        h = normed(stream, layer.norm1, layer.norm1_bias)
        h = product(ops, h, layer, "qkv")
        h = attention(ops, h, layer, k, v, positions, slots, network)
        stream = product(ops, h, layer, "proj", stream)
        stream = settled(stream, layer.norm1, layer.norm1_bias)
        h = normed(stream, layer.norm2, layer.norm2_bias)
        h = activate(product(ops, h, layer, "up"), network.activation, ops.gelu_forward)
        stream = product(ops, h, layer, "down", stream)
        stream = settled(stream, layer.norm2, layer.norm2_bias)
    h = normed(stream[:scored], network.norm, network.norm_bias)
    logits = linear(ops, h, network.output, network.head_bias)
    cap = network.softcap
    return logits if cap is None else np.tanh(logits / np.float32(cap)) * np.float32(cap)


def attention(
    ops: ModuleType, qkv, layer: LayerWeights, keys, values, positions, slots, network: Network
):
    """Store each token's key and value; its queries see its sequence's last ones up to there.

    qkv: (B, (H + 2 Hkv) D); keys, values: (S, places, Hkv, D), one layer's, or in bytes.
    Returns (B, H D).
    """
    H, Hkv, D = network.head_shape
    parts = np.split(qkv, [H * D, (H + Hkv) * D], axis=-1)
    counts = zip(parts, (H, Hkv, Hkv), strict=True)
    q, k, v = (part.reshape(len(qkv), n, D) for part, n in counts)  # (B, H, D), (B, Hkv, D) twice
    if layer.q_norm is not None:
        q = ops.rmsnorm_forward(q, layer.q_norm, eps=network.eps)[0]
    if layer.k_norm is not None:
        k = ops.rmsnorm_forward(k, layer.k_norm, eps=network.eps)[0]
    if network.rotary is not None:
        angles = positions[:, None, None] * network.rotary  # (B, 1, R) float64
        cos, sin = np.cos(angles).astype(q.dtype), np.sin(angles).astype(q.dtype)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    y, places = np.empty_like(q), keys.shape[1]
    rounded = keys.dtype == np.int8
    if rounded:
        k, v = round_heads(k), round_heads(v)
    where = list(zip(slots, positions.tolist(), strict=True))
    for b, (slot, position) in enumerate(where):
        keys[slot, position % places], values[slot, position % places] = k[b], v[b]
    for b, (slot, position) in enumerate(where):
        seen = min(position + 1, network.sight(places))
        bias = None if network.bias is None else network.bias[:, :seen]
        both = [last(ring[slot], position, seen)[None] for ring in (keys, values)]
        if rounded:
            both = [restore_heads(kept) for kept in both]
        y[b] = ops.attention_forward(q[b, None, None], *both, bias=bias)[0][0, 0]
    return y.reshape(len(qkv), H * D)


def last(ring, position: int, count: int):
    """The `count` rows of a ring (places, ...) up to a position's, oldest first."""
    end = position % len(ring) + 1
    if count <= end:
        return ring[end - count : end]
    return np.concatenate([ring[end - count :], ring[:end]])


def rows_of(matrix: Matrix, ids):
    """Rows of a float or packed matrix, float32."""
    return dequantize(matrix, ids) if isinstance(matrix, Packed) else matrix[ids]


def norm(ops: ModuleType, x, weight, bias, network: Network):
    """The network's norm of the rows of x."""
    if network.norm_kind == "rmsnorm":
        return ops.rmsnorm_forward(x, weight, eps=network.eps)[0]
    return ops.layernorm_forward(x, weight, bias, eps=network.eps)[0]


def product(ops: ModuleType, x, layer: LayerWeights, name: str, residual=None):
    """x (W + U A)^T + bias + residual of one of PRODUCTS."""
    weight, bias, beside = (getattr(layer, f"{name}{part}") for part in ("", "_bias", "_beside"))
    y = linear(ops, x, weight, bias, residual)
    if beside is None:
        return y
    A, U = beside
    return linear(ops, linear(ops, x, A), U, None, y)


def linear(ops: ModuleType, x, weight: Matrix, bias=None, residual=None):
    """The dense layer that fits the matrix."""
    if isinstance(weight, Packed):
        return getattr(ops, f"linear_{weight.scheme}_forward")(x, weight, bias, residual)
    return ops.linear_forward(x, weight, bias, residual=residual)
