"""Linear and Embedding with packed weights, of a byte or half a byte: installed by replace_modules.

    replace_modules(model, lambda name, m: type(m) is nn.Linear,
                    lambda m: QuantizedLinear.from_linear(m, "int8"))

The model does not know. Quantized weights are constants: no gradient reaches them, but it passes
through to what came before, so a frozen quantized model can carry trained adapters.
What the products compute, and how far they may be off: kernels/numpy_ref/matmul_int8.py; their
gradient: kernels/numpy_ref/linear_packed.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels import packing
from kernels.gguf_blocks import Rows as Rows
from kernels.gguf_blocks import pack_q4_0 as pack_q4_0
from kernels.gguf_blocks import pack_q4_1 as pack_q4_1
from kernels.gguf_blocks import pack_q8_0 as pack_q8_0
from kernels.numpy_ref.matmul_int4 import int4_codes as int4_codes
from kernels.numpy_ref.matmul_int8 import quantize_rows
from kernels.numpy_ref.matmul_nf4 import nf4_codes
from kernels.packing import GROUP as GROUP
from kernels.packing import NF4_LEVELS as NF4_LEVELS
from kernels.packing import SCHEMES as SCHEMES
from kernels.packing import Packed as Packed
from kernels.packing import check_array as check_array
from kernels.packing import dequantize as dequantize
from kernels.packing import pack_4bit as pack_4bit
from kernels.packing import scale_panels as scale_panels
from kernels.packing import scale_rows as scale_rows
from kernels.packing import unpack_4bit as unpack_4bit
from minigrad.nn.embedding import Embedding
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops.linear_packed import linear_packed
from minigrad.tensor import Tensor

BLOCK = 256  # NF4 scales that share a second scale


def quantize(weight: np.ndarray, scheme: str) -> Packed:
    """Round a matrix (N, K) float32 to one of SCHEMES.

    Raises ValueError for an unknown scheme or a weight that is not finite; of q4_1 and q8_0, one
    that float16 does not hold.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; choose {', '.join(SCHEMES)}")
    if not np.isfinite(weight).all():
        wrong = int(np.argwhere(~np.isfinite(weight))[0][0])
        raise ValueError(f"quantize: row {wrong} of the weight {weight.shape} is not finite")
    rounded = {"int8": _int8, "int4": _int4, "nf4": _nf4, "q4_1": _q4_1, "q8_0": _q8_0}
    return rounded[scheme](weight)


def _int8(weight: np.ndarray) -> Packed:
    """Symmetric, one scale an output."""
    return packing.pack_int8(*quantize_rows(weight))


def _int4(weight: np.ndarray) -> Packed:
    """Symmetric, groups of 32, each with the scale of `int4_scales`."""
    groups = _groups(weight, GROUP["int4"])  # (N, G, 32)
    scale = int4_scales(groups)
    return pack_int4(_rows(int4_codes(groups, scale), weight), scale[..., 0])


def int4_scales(groups: np.ndarray) -> np.ndarray:
    """For each group of (..., 32) weights the scale that leaves the least squared error, (..., 1).

    The codes reach from -8 to 7, so a scale may be negative to give the larger side the 8. Tried
    are shrunken ranges too: cutting off one outlier can serve the 31 others better.
    """
    at = np.abs(groups).argmax(axis=-1)[..., None]
    peak = np.take_along_axis(groups, at, axis=-1)  # (..., 1), with its sign
    best = np.full(peak.shape, np.inf, dtype=np.float32)
    scale = np.zeros_like(peak)
    for divisor in (-8.0, -8.5, -9.0, -9.5, 7.0, 7.5, 8.0, 8.5):
        trial = bfloat16_round(peak / np.float32(divisor))
        error = groups - (int4_codes(groups, trial).astype(np.float32) - 8) * trial
        loss = (error * error).sum(axis=-1, keepdims=True)
        scale = np.where(loss < best, trial, scale)
        best = np.minimum(loss, best)
    return scale


def pack_int4(codes: np.ndarray, scale: np.ndarray) -> Packed:
    """codes (N, K) uint8 below 16, scale (N, G) float32 of bfloat16's values -> Packed."""
    panels = scale_panels(scale)
    kept = ((panels.view(np.uint32) >> 16).astype(np.uint16),)
    return pack_4bit("int4", codes, panels, kept)


def _nf4(weight: np.ndarray) -> Packed:
    """NormalFloat levels, groups of 64, the scales themselves rounded to 8 bits (QLoRA, 3)."""
    groups = _groups(weight, GROUP["nf4"])  # (N, G, 64)
    kept = double_quantize(scale_panels(np.abs(groups).max(axis=-1)))
    panels = double_dequantize(*kept)
    scale = scale_rows(panels, len(weight))[..., None]
    codes = _rows(nf4_codes(groups, scale), weight)
    return pack_4bit("nf4", codes, panels, kept)


def _q4_1(weight: np.ndarray) -> Packed:
    """As GGUF's Q4_1: the least of 32 and fifteen steps to the largest."""
    groups = _groups(weight, GROUP["q4_1"])  # (N, G, 32)
    least = _float16(groups.min(axis=-1))
    step = _float16((groups.max(axis=-1) - least) / 15)
    safe = np.where(step == 0, 1, step).astype(np.float32)[..., None]
    codes = np.rint((groups - least[..., None]) / safe).clip(0, 15).astype(np.uint8)
    panels = np.stack([scale_panels(step), scale_panels(least)], axis=2)
    return pack_4bit("q4_1", _rows(codes, weight), panels)


def _q8_0(weight: np.ndarray) -> Packed:
    """As GGUF's Q8_0: symmetric, a scale for 32."""
    groups = _groups(weight, GROUP["q8_0"])  # (N, G, 32)
    scale = _float16(np.abs(groups).max(axis=-1) / 127)
    safe = np.where(scale == 0, 1, scale).astype(np.float32)[..., None]
    codes = np.rint(groups / safe).clip(-127, 127).astype(np.int8)
    return packing.pack_q8_0(_rows(codes, weight), scale_panels(scale))


def _float16(x: np.ndarray) -> np.ndarray:
    """x rounded to float16.  Raises ValueError if that cannot hold it."""
    if x.size and np.abs(x).max() > np.finfo(np.float16).max:
        raise ValueError(f"quantize: {np.abs(x).max():g} does not fit a block's 16 bits")
    return x.astype(np.float16)


def _groups(weight: np.ndarray, size: int) -> np.ndarray:
    """(N, K) -> (N, ceil(K / size), size), filled up with zeros."""
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % size)))
    return padded.reshape(len(weight), padded.shape[1] // size, size)


def _rows(groups: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The inverse of `_groups`: (N, G, size) -> the (N, K) of a weight."""
    return groups.reshape(len(weight), groups.shape[1] * groups.shape[2])[:, : weight.shape[1]]


def bfloat16_round(x: np.ndarray) -> np.ndarray:
    """float32 rounded to the values of bfloat16 (7 bits of fraction), ties to even.

    int4 scales are rounded so when they are found: a file keeps 16 bits of them and loses nothing.
    """
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    bits = bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def double_quantize(scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scales as bytes: (codes uint8 of their shape, factor (ceil(n / 256),) float32, mean ()).

    scale ~ mean + factor (code - 128), one factor for each 256 of them.
    Source: Dettmers et al. 2023, section 3, "Double Quantization".
    """
    flat = scale.reshape(-1).astype(np.float32)
    mean = flat.mean(dtype=np.float32) if flat.size else np.float32(0)
    blocks = np.pad(flat - mean, (0, -flat.size % BLOCK)).reshape(-1, BLOCK)
    factor = np.abs(blocks).max(axis=1) / np.float32(127)
    safe = np.where(factor == 0, 1, factor)[:, None]
    codes = (np.rint(blocks / safe) + 128).astype(np.uint8).reshape(-1)[: flat.size]
    return codes.reshape(scale.shape), factor, np.asarray(mean, dtype=np.float32)


def double_dequantize(codes: np.ndarray, factor: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The scales that `double_quantize` kept, float32 of the codes' shape."""
    spread = np.repeat(factor, BLOCK)[: codes.size].reshape(codes.shape)
    return (mean + spread * (codes.astype(np.float32) - 128)).astype(np.float32)


def packed_bytes(scheme: str, shape: tuple[int, int]) -> int:
    """Bytes that a quantized (N, K) matrix takes, as Packed.nbytes counts them."""
    return _bytes(packing.layout(scheme, shape))


def file_bytes(scheme: str, shape: tuple[int, int]) -> int:
    """Bytes that a quantized (N, K) matrix takes of a file."""
    return _bytes(file_layout(scheme, shape))


def _bytes(arrays: dict[str, tuple[tuple[int, ...], type]]) -> int:
    return sum(math.prod(form) * np.dtype(dtype).itemsize for form, dtype in arrays.values())


def file_layout(scheme: str, shape: tuple[int, int]) -> dict[str, tuple[tuple[int, ...], type]]:
    """Name -> (shape, dtype) of what a file holds of a quantized (N, K) matrix."""
    arrays = packing.layout(scheme, shape)
    panels = arrays["scale"][0]
    if scheme == "int4":
        arrays["scale"] = (panels, np.uint16)
    if scheme == "nf4":
        blocks = -(-math.prod(panels) // BLOCK)
        arrays.update(
            scale=(panels, np.uint8), scale_factor=((blocks,), np.float32),
            scale_mean=((), np.float32),
        )
    return arrays


class QuantizedLinear(Module):
    """activation(x) W^T + b with a packed weight (N, K)."""

    def __init__(self, packed: Packed, bias: Tensor | None = None, activation: str | None = None):
        self.packed, self.bias, self.activation = packed, bias, activation

    @classmethod
    def from_linear(cls, linear: Linear, scheme: str = "int8") -> QuantizedLinear:
        """Round a Linear's weight.  Raises ValueError as `quantize`."""
        return cls(quantize(linear.weight.data, scheme), linear.bias, linear.activation)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., K), residual: (..., N) added at the end.  Returns (..., N)."""
        return linear_packed(x, self.packed, self.bias, self.activation, residual)

    def dequantized(self) -> np.ndarray:
        """The whole weight, (N, K) float32."""
        return dequantize(self.packed)


class QuantizedEmbedding(Module):
    """A table (V, C) of packed rows: looked up, and multiplied by as the tied output projection."""

    def __init__(self, packed: Packed):
        self.packed = packed

    @classmethod
    def from_embedding(cls, embedding: Embedding, scheme: str = "int8") -> QuantizedEmbedding:
        """Round an Embedding's table.  Raises ValueError as `quantize`."""
        return cls(quantize(embedding.weight.data, scheme))

    def forward(self, ids: Any) -> Tensor:
        """ids: any shape, integers.  Returns (*ids.shape, C)."""
        ids = np.asarray(ids)
        V = self.packed.shape[0]
        if ids.size and not (0 <= ids.min() and ids.max() < V):
            wrong = int(ids[(ids < 0) | (ids >= V)].flat[0])
            raise IndexError(f"embedding: id {wrong} is outside the table of {V} rows")
        return Tensor(dequantize(self.packed, ids))

    def attend(self, x: Tensor) -> Tensor:
        """The table as tied output weights: x (..., C) -> (..., V)."""
        return linear_packed(x, self.packed)

    @property
    def weight(self) -> Tensor:
        """The whole table as floats, made anew: for losses that never hold whole logits."""
        return Tensor(self.dequantized())

    def dequantized(self) -> np.ndarray:
        """The whole table, (V, C) float32."""
        return dequantize(self.packed)
