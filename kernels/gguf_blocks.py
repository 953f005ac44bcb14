"""GGUF's blocks of 32 weights, laid into panels without rounding anything.

A row of a GGUF matrix is blocks one after the other, each a few numbers of 16 bits and its codes:

    Q4_0   18 bytes   d, 16 bytes of codes            w = d (code - 8)
    Q4_1   20 bytes   d, m, 16 bytes of codes         w = d code + m
    Q8_0   34 bytes   d, 32 signed bytes              w = d code

d and m are float16. Byte b of 4-bit codes holds weight b in its low half, b + 16 in its high half.
Only the order changes: q4_1 of packing.py keeps 20 bytes a block, q8_0 34; m of a Q4_0 is -8 d,
which float16 holds as exactly as d. A few panels are laid at a time, from rows that may be read
from a file at that moment: besides what is kept, a file of any size takes no memory.

Source: the layout is ggml's, as its quants document it (block_q4_0, block_q4_1, block_q8_0).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from kernels.packing import PANEL, Packed, layout

BLOCK = 32  # weights
NUMBERS = {"q4_0": 1, "q4_1": 2, "q8_0": 1}  # of 16 bits in a block
BLOCK_BYTES = {"q4_0": 18, "q4_1": 20, "q8_0": 34}
AT_ONCE = 1 << 18  # bytes of blocks that are laid at a time: they stay in a core's cache
_INFINITE = np.uint16(0x7C00)  # the exponent of a float16 that is not finite


class Rows(Protocol):
    """Rows of blocks, (N, bytes) uint8: an array, or what reads some of them when asked."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, some: slice, /) -> np.ndarray: ...


def pack_q4_0(rows: Rows) -> Packed:
    """rows (N, 18 K / 32) uint8, whole blocks of Q4_0 -> Packed q4_1 (N, K).

    Raises ValueError for rows of another form, or a scale of which float16 does not hold 8 times
    as much (8188; trained weights have some 0.01).
    """
    return _pack("q4_0", "q4_1", rows)


def pack_q4_1(rows: Rows) -> Packed:
    """rows (N, 20 K / 32) uint8, whole blocks of Q4_1 -> Packed q4_1 (N, K).

    Raises ValueError for rows of another form, or a scale or minimum that is not finite.
    """
    return _pack("q4_1", "q4_1", rows)


def pack_q8_0(rows: Rows) -> Packed:
    """rows (N, 34 K / 32) uint8, whole blocks of Q8_0 -> Packed q8_0 (N, K).

    Raises ValueError for rows of another form, or a scale that is not finite.
    """
    return _pack("q8_0", "q8_0", rows)


def _pack(kind: str, scheme: str, rows: Rows) -> Packed:
    size = BLOCK_BYTES[kind]
    if rows.dtype != np.uint8 or len(rows.shape) != 2 or rows.shape[1] % size:
        raise ValueError(
            f"{kind}: rows must be (N, blocks of {size} bytes) uint8, not {rows.shape} {rows.dtype}"
        )
    (N, width), groups = rows.shape, rows.shape[1] // size
    forms = layout(scheme, (N, BLOCK * groups))
    codes: np.ndarray = np.empty(*forms["codes"])
    scale: np.ndarray = np.empty(*forms["scale"])
    words = codes.view("<u4").reshape(len(codes), groups, 8 if scheme == "q8_0" else 4, PANEL)
    some = PANEL * max(1, AT_ONCE // (PANEL * width or 1))  # rows
    for at in range(0, N, some):
        numbers, packed = _split(kind, rows[at : at + some])
        panels = slice(at // PANEL, at // PANEL + len(numbers))
        if kind == "q4_0":
            with np.errstate(over="ignore"):  # refused as not finite
                numbers = np.concatenate([numbers, numbers * np.float16(-8)], axis=2)
        scale[panels] = numbers if scheme == "q4_1" else numbers[:, :, 0]
        if ((scale[panels].view(np.uint16) & _INFINITE) == _INFINITE).any():
            raise ValueError(f"{scheme}: a block's scale or minimum is not finite")
        if kind == "q8_0":
            np.bitwise_xor(packed, np.uint32(0x80808080), out=words[panels])  # 128 added
        else:
            _lay_4bit(packed, words[panels])
    return Packed(scheme, (N, BLOCK * groups), codes, scale)


def _split(kind: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in panels: the numbers (P, G, 1 or 2, 16) float16, the codes (P, G, 4 or 8, 16) uint32.

    Zeros for the rows that fill up the last panel.
    """
    missing, start = -len(rows) % PANEL, 2 * NUMBERS[kind]
    if missing:
        rows = np.pad(rows, ((0, missing), (0, 0)))
    size = BLOCK_BYTES[kind]
    blocks = rows.reshape(len(rows) // PANEL, PANEL, rows.shape[1] // size, size)
    numbers = np.ascontiguousarray(blocks[..., :start]).view("<f2")
    codes = np.ascontiguousarray(blocks[..., start:]).view("<u4")
    return numbers.transpose(0, 2, 3, 1), codes.transpose(0, 2, 3, 1)


def _lay_4bit(codes: np.ndarray, words: np.ndarray) -> None:
    """codes (P, G, 4, 16) in GGUF's order: weights 4 i .. 4 i + 3 low, 16 + 4 i .. high."""
    half = np.uint32(0x0F0F0F0F)
    # What shares a word with us: eight weights.
    even, odd = np.ascontiguousarray(codes[:, :, 0::2]), np.ascontiguousarray(codes[:, :, 1::2])
    words[:, :, :2] = (even & half) | (odd & half) << 4
    words[:, :, 2:] = (even >> 4 & half) | (odd & ~half)
