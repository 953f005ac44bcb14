"""What the bytes of a GGUF tensor mean: blocks of weights that share a scale.

A row is cut into blocks of 32 weights, or of 256 that have 8 or 16 smaller ones in them (the K
kinds). Each block lies as one run of bytes; the drawings give bytes from left to right, `f16` being
an IEEE half, and in [32 x 4 bit] halves the low four bits of byte i are weight i, the high four
weight i + 16. d is a scale, m a minimum, q the integer that stands for a weight:

    symmetric    w = d (q - middle)                  Q4_0, Q5_0, Q6_K, Q8_0
    affine       w = d q + m                         Q4_1, Q5_1
    two floors   w = (d s) q - (dmin t)              Q4_K, Q5_K: s, t are 6 bits a small block

Every function here takes and returns blocks in rows: (n, bytes) uint8 <-> (n, weights) float32.
The arithmetic is float32 in the order of ggml's own reference, so the values agree to the bit.

Source: ggml's reference quantizers name the fields. A test holds every kind against the `gguf`
package where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygpt.storage.reading import FormatError

Blocks = Callable[[np.ndarray], np.ndarray]
AT_ONCE = 1 << 20  # weights that are worked on at a time: temporary arrays stay in the cache


def _half(blocks: np.ndarray, at: int) -> np.ndarray:
    """The f16 at byte `at` of each block, (n, 1) float32."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """(n, 16) bytes -> (n, 32): the low halves, then the high halves."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _fifth_bits(blocks: np.ndarray, at: int) -> np.ndarray:
    """Bit i of the four bytes at `at` is the fifth bit of weight i: (n, 32), 0 or 16."""
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little") << 4


def _read_f32(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f4").astype(np.float32)


def _read_f16(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f2").astype(np.float32)


def _read_bf16(blocks: np.ndarray) -> np.ndarray:
    """The upper half of a float32."""
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _read_q8_0(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | 32 x int8 |        w = d q"""
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _read_q4_0(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | 32 x 4 bit |       w = d (q - 8)"""
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def _read_q4_1(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | m f16 | 32 x 4 bit |       w = d q + m"""
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]).astype(np.float32) + _half(blocks, 2)


def _read_q5_0(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | 32 x 1 bit, the fifth | 32 x 4 bit |       w = d (q - 16)"""
    q = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks, 2)
    return _half(blocks, 0) * (q.astype(np.float32) - 16)


def _read_q5_1(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | m f16 | 32 x 1 bit, the fifth | 32 x 4 bit |       w = d q + m"""
    q = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks, 4)
    return _half(blocks, 0) * q.astype(np.float32) + _half(blocks, 2)


def _six_bits(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 12) bytes -> the eight s and the eight t of 6 bits, (n, 8) each.

    bytes 0-3     low six bits: s0-s3;    high two: bits 4, 5 of s4-s7
    bytes 4-7     low six bits: t0-t3;    high two: bits 4, 5 of t4-t7
    bytes 8-11    low four bits: of s4-s7;    high four: of t4-t7
    """
    a, b, c = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    s = np.concatenate([a & 63, (c & 15) | (a >> 6 << 4)], axis=1)
    t = np.concatenate([b & 63, (c >> 4) | (b >> 6 << 4)], axis=1)
    return s, t


def _two_floors(blocks: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(n, 256) integers of blocks that begin | d f16 | dmin f16 | 12 bytes of _six_bits |."""
    s, t = _six_bits(blocks[:, 4:16])
    scale = (_half(blocks, 0) * s.astype(np.float32))[..., None]  # (n, 8, 1)
    floor = (_half(blocks, 2) * t.astype(np.float32))[..., None]
    return (scale * q.reshape(-1, 8, 32).astype(np.float32) - floor).reshape(-1, 256)


def _q4_k_integers(packed: np.ndarray) -> np.ndarray:
    """(n, 128) bytes -> (n, 256): 32 bytes have 32 weights in their low halves, and the next 32
    in their high halves."""
    runs = packed.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 256)


def _read_q4_k(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | dmin f16 | 12 bytes of s, t | 4 x (32 low, 32 high) x 4 bit |"""
    return _two_floors(blocks, _q4_k_integers(blocks[:, 16:]))


def _read_q5_k(blocks: np.ndarray) -> np.ndarray:
    """| d f16 | dmin f16 | 12 bytes of s, t | 32 bytes of fifth bits | as Q4_K |

    Bit j of fifth byte i belongs to weight i of small block j.
    """
    bits = blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1  # (n, 8, 32)
    return _two_floors(blocks, _q4_k_integers(blocks[:, 48:]) | bits.reshape(-1, 256) << 4)


def _read_q6_k(blocks: np.ndarray) -> np.ndarray:
    """| 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 x int8 s | d f16 |

    Each half of the block has 128 weights in four runs of 32: the low bits of runs 0 and 1 are the
    low halves of its 64 bytes, those of runs 2 and 3 the high halves; bits 2j and 2j + 1 of its 32
    high bytes are run j's.       w = (d s) (q - 32), one s for 16 weights
    """
    low, high = blocks[:, :128].reshape(-1, 2, 1, 64), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = high >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & 3  # (n, 2, 4, 32)
    q = (low | high << 4).astype(np.float32) - 32
    scale = _half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)  # (n, 16)
    return (scale[..., None] * q.reshape(-1, 16, 16)).reshape(-1, 256)


# --- from floats --------------------------------------------------------------------------------


def _halves(values: np.ndarray, name: str) -> np.ndarray:
    """float32 -> f16.  Raises ValueError where one is too large for it."""
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        raise ValueError(
            f"a weight is too large for {name}, whose numbers end at 65,504 (or is not finite). "
            "Write F32."
        )
    return halves


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8)


def _write_f32(values: np.ndarray) -> np.ndarray:
    return _bytes(values.astype("<f4"))


def _write_f16(values: np.ndarray) -> np.ndarray:
    return _bytes(_halves(values, "F16"))


def _inverse(scale: np.ndarray) -> np.ndarray:
    """1 / scale, 0 where that is 0: a block of zeros has no scale."""
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)


def _write_q8_0(values: np.ndarray) -> np.ndarray:
    """Codes -127 .. 127, chosen by the exact scale, which is then kept as f16; halves away from
    zero."""
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    scaled = values * _inverse(scale)
    codes = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled).astype(np.int8)
    return np.concatenate([_bytes(_halves(scale, "Q8_0")), codes.view(np.uint8)], axis=1)


def _write_q4_0(values: np.ndarray) -> np.ndarray:
    """The weight of largest size gets code 0, which stands for -8 scales: so scales have signs."""
    at = np.abs(values).argmax(axis=1)[:, None]
    scale = np.take_along_axis(values, at, axis=1) / np.float32(-8)
    scaled = values.astype(np.float64) * _inverse(scale) + 8.5
    codes = np.trunc(scaled).clip(0, 15).astype(np.uint8)
    packed = codes[:, :16] | codes[:, 16:] << 4
    return np.concatenate([_bytes(_halves(scale, "Q4_0")), packed], axis=1)


# --- the kinds ----------------------------------------------------------------------------------


class Kind(NamedTuple):
    """number: in files.  weights, bytes: of a block.  write: None for what is only read."""

    number: int
    weights: int
    bytes: int
    read: Blocks
    write: Blocks | None = None


KINDS = {
    "F32": Kind(0, 1, 4, _read_f32, _write_f32),
    "F16": Kind(1, 1, 2, _read_f16, _write_f16),
    "BF16": Kind(30, 1, 2, _read_bf16),
    "Q8_0": Kind(8, 32, 34, _read_q8_0, _write_q8_0),
    "Q4_0": Kind(2, 32, 18, _read_q4_0, _write_q4_0),
    "Q4_1": Kind(3, 32, 20, _read_q4_1),
    "Q5_0": Kind(6, 32, 22, _read_q5_0),
    "Q5_1": Kind(7, 32, 24, _read_q5_1),
    "Q4_K": Kind(12, 256, 144, _read_q4_k),
    "Q5_K": Kind(13, 256, 176, _read_q5_k),
    "Q6_K": Kind(14, 256, 210, _read_q6_k),
}
WRITTEN = tuple(name for name, kind in KINDS.items() if kind.write)
_NAMES = {kind.number: name for name, kind in KINDS.items()}
_UNREAD = {  # so that a refusal can name them
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16",
    26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}


def kind_name(number: int) -> str:
    """What a type's number is called, "type 99" if nobody knows."""
    return _NAMES.get(number) or _UNREAD.get(number) or f"type {number}"


def size_of(kind: str, shape: tuple[int, ...], name: str) -> int | None:
    """Bytes of a tensor, None for a kind that is not read here.

    Raises FormatError for rows that are no whole number of blocks.
    """
    known = KINDS.get(kind)
    if known is None:
        return None
    if shape[-1] % known.weights:
        raise FormatError(
            f"has {name!r:.60} as {kind}, whose blocks have {known.weights} weights, with rows of "
            f"{shape[-1]}"
        )
    return math.prod(shape) // known.weights * known.bytes


def dequantize(rows: np.ndarray, kind: str) -> np.ndarray:
    """(R, bytes) uint8 as they lie in a file -> (R, K) float32."""
    known = KINDS[kind]
    blocks = rows.reshape(-1, known.bytes)
    values = np.empty((len(blocks), known.weights), np.float32)
    step = max(1, AT_ONCE // known.weights)
    for at in range(0, len(blocks), step):
        values[at : at + step] = known.read(blocks[at : at + step])
    return values.reshape(len(rows), -1)


def quantize(values: np.ndarray, kind: str) -> np.ndarray:
    """(R, K) float32 -> (R, bytes) uint8 of one of WRITTEN; the inverse of `dequantize`.

    Raises ValueError for a kind that is not written here, rows that do not fill blocks, and a
    weight that is not finite or too large.
    """
    known = KINDS[kind]
    if known.write is None:
        raise ValueError(f"{kind} is read here and not written. Choose {', '.join(WRITTEN)}.")
    if values.shape[1] % known.weights:
        raise ValueError(f"{kind} has blocks of {known.weights}, and rows have {values.shape[1]}")
    blocks = np.ascontiguousarray(values, np.float32).reshape(-1, known.weights)
    packed = np.empty((len(blocks), known.bytes), np.uint8)
    step = max(1, AT_ONCE // known.weights)
    for at in range(0, len(blocks), step):
        packed[at : at + step] = known.write(blocks[at : at + step])
    return packed.reshape(len(values), -1)
