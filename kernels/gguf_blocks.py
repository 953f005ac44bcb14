"""GGUF's blocks of 32 weights, laid into panels without rounding anything.

A row of a GGUF matrix is blocks one after the other, each a few numbers of 16 bits and its codes:

    Q4_0   18 bytes   d, 16 bytes of codes            w = d (code - 8)
    Q4_1   20 bytes   d, m, 16 bytes of codes         w = d code + m
    Q8_0   34 bytes   d, 32 signed bytes              w = d code

d and m are float16. Byte b of 4-bit codes holds weight b in its low half, b + 16 in its high half.
Only the order changes: q4_1 of packing.py keeps 20 bytes a block, q8_0 34; m of a Q4_0 is -8 d,
which float16 holds as exactly as d. So a file of any size opens at the speed of a few copies.

Source: the layout is ggml's, as its quants document it (block_q4_0, block_q4_1, block_q8_0).
"""

from __future__ import annotations

import numpy as np

from kernels.packing import PANEL, Packed

BLOCK = 32  # weights
NUMBERS = {"q4_0": 1, "q4_1": 2, "q8_0": 1}  # of 16 bits in a block
BLOCK_BYTES = {"q4_0": 18, "q4_1": 20, "q8_0": 34}


def pack_q4_0(rows: np.ndarray) -> Packed:
    """rows (N, 18 K / 32) uint8, whole blocks of Q4_0 -> Packed q4_1 (N, K).

    Raises ValueError for rows of another form, or a scale of which float16 does not hold 8 times
    as much (8188; trained weights have some 0.01).
    """
    scale, codes = _split("q4_0", rows)  # (N, G, 1), (N, G, 16)
    with np.errstate(over="ignore"):  # refused as not finite
        minimum = scale * np.float16(-8)
    return _packed_4bit(np.concatenate([scale, minimum], axis=-1), codes)


def pack_q4_1(rows: np.ndarray) -> Packed:
    """rows (N, 20 K / 32) uint8, whole blocks of Q4_1 -> Packed q4_1 (N, K).

    Raises ValueError for rows of another form, or a scale or minimum that is not finite.
    """
    return _packed_4bit(*_split("q4_1", rows))


def pack_q8_0(rows: np.ndarray) -> Packed:
    """rows (N, 34 K / 32) uint8, whole blocks of Q8_0 -> Packed q8_0 (N, K).

    Raises ValueError for rows of another form, or a scale that is not finite.
    """
    scale, codes = _split("q8_0", rows)
    words = _panels(codes.view(np.uint32) ^ np.uint32(0x80808080))  # (P, G, 8, 16): 128 added
    return _packed("q8_0", len(rows), words, _panels(scale)[:, :, 0])


def _split(kind: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The float16 numbers (N, G, 1 or 2) and the bytes of codes (N, G, 16 or 32) of blocks."""
    size = BLOCK_BYTES[kind]
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] % size:
        raise ValueError(
            f"{kind}: rows must be (N, blocks of {size} bytes) uint8, not {rows.shape} {rows.dtype}"
        )
    blocks = np.ascontiguousarray(rows).reshape(len(rows), rows.shape[1] // size, size)
    start = 2 * NUMBERS[kind]
    scale = np.ascontiguousarray(blocks[:, :, :start]).view("<f2").astype(np.float16, copy=False)
    return scale, np.ascontiguousarray(blocks[:, :, start:])


def _packed_4bit(scale: np.ndarray, codes: np.ndarray) -> Packed:
    """scale (N, G, 2), codes (N, G, 16) in GGUF's order -> Packed q4_1."""
    words = codes.view(np.uint32)  # (N, G, 4): weights 4 i .. 4 i + 3 low, 16 + 4 i .. high
    half = np.uint32(0x0F0F0F0F)
    even, odd = words[:, :, 0::2], words[:, :, 1::2]  # what shares a word with us: eight weights
    ours = np.empty_like(words)
    ours[:, :, :2] = (even & half) | (odd & half) << 4
    ours[:, :, 2:] = (even >> 4 & half) | (odd & ~half)
    return _packed("q4_1", len(codes), _panels(ours), _panels(scale))


def _panels(rows: np.ndarray) -> np.ndarray:
    """(N, G, any) -> (P, G, any, 16), zeros for the rows that fill up the last panel."""
    missing = -len(rows) % PANEL
    if missing:
        rows = np.pad(rows, ((0, missing), (0, 0), (0, 0)))
    panels = rows.reshape(len(rows) // PANEL, PANEL, *rows.shape[1:])
    return np.ascontiguousarray(panels.transpose(0, 2, 3, 1))


def _packed(scheme: str, rows: int, words: np.ndarray, scale: np.ndarray) -> Packed:
    """words (P, G, W, 16) uint32, scale (P, G, ..., 16) float16 -> Packed."""
    if not np.isfinite(scale).all():
        raise ValueError(f"{scheme}: a block's scale or minimum is not finite")
    panels, groups, count, _ = words.shape
    codes = words.view(np.uint8).reshape(panels, groups * count, PANEL, 4)
    return Packed(scheme, (rows, BLOCK * groups), codes, np.ascontiguousarray(scale))
