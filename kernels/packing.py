"""Small weights: how a matrix of int8 or 4-bit codes lies in memory, the same for every backend.

A product with one vector reads each weight once, so its speed is the speed of memory: a weight of
one byte, or of half a byte, is four or eight times faster than a float. The layout serves the
instructions that multiply bytes, on all instruction sets alike, and so it is also the layout of
the file: `tinygpt quantize` packs, and the loader only maps the file.

    int8   codes (P, K/4, 16, 4) int8      16 rows side by side, 4 neighbours in k as one 32-bit
                                           word: one 64-byte vector is a step of 4 k in 16 rows
    4 bit  codes (P, K/8, 16, 4) uint8     likewise, two k to a byte: byte b of a word holds k = b
                                           in its low half and k = b + 4 in its high half
    q8_0   codes (P, K/4, 16, 4) uint8     as int8, each with 128 added

P = ceil(N / 16) panels; rows and columns that fill up the last panel or group weigh nothing.
int8, int4 and nf4 are ours; q4_1 and q8_0 hold what blocks of other people's files hold, to the bit
(gguf_blocks.py).

Read next: numpy_ref/matmul_int8.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PANEL = 16  # rows that are computed together
SCHEMES = ("int8", "int4", "nf4", "q4_1", "q8_0")  # C numbers them from 1
# Weights of a row that share a scale; of int8 the whole row does.
GROUP = {"int4": 32, "nf4": 64, "q4_1": 32, "q8_0": 32}

# The 16 levels of NF4: quantiles of a normal distribution scaled to [-1, 1], with an exact zero.
# Source: Dettmers et al. 2023 (QLoRA), section 3 and appendix E; minigrad/nn/quantized.py derives
# them and a test compares.
NF4_LEVELS = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
     -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
     0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
     0.7229568362236023, 1.0],
    dtype=np.float32,
)
_ZERO_CODE = {"int4": 8, "nf4": 7, "q4_1": 0}  # int4 stores q + 8


@dataclass(frozen=True, eq=False)
class Packed:
    """A quantized (N, K) matrix.

    scheme: one of SCHEMES.  shape: (N, K).  codes: see the module.
    scale: int8 (N,) float32, w = scale_n code; else one for each group of a row:
        int4 and nf4 (P, G, 16) float32, w = scale (code - 8) and w = scale NF4_LEVELS[code];
        q4_1 (P, G, 2, 16) float16, w = scale_0 code + scale_1, a step and a minimum;
        q8_0 (P, G, 16) float16, w = scale (code - 128).
    kept: what a file holds in place of `scale`, if that is smaller (minigrad/nn/quantized.py).
    offset: int32 (16 P,), int8 only: 128 sum_k code, what an instruction that takes one of its
        operands unsigned adds too much (numpy_ref/matmul_int8.py).
    Raises ValueError for an unknown scheme or arrays that are not of `layout`: kernels trust it.
    """

    scheme: str
    shape: tuple[int, int]
    codes: np.ndarray
    scale: np.ndarray
    offset: np.ndarray | None = None
    kept: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"Packed: unknown scheme {self.scheme!r}; choose {', '.join(SCHEMES)}")
        if len(self.shape) != 2 or min(self.shape) < 0:
            raise ValueError(f"Packed: shape {self.shape} must be (N, K), neither below 0")
        wanted = layout(self.scheme, self.shape)
        if self.offset is not None and "offset" not in wanted:
            raise ValueError(f"Packed: {self.scheme} has no offset")
        for part, form in wanted.items():
            check_array(getattr(self, part), *form, f"Packed: {part}")

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(a.nbytes for a in (self.codes, self.scale, self.offset) if a is not None)


def layout(scheme: str, shape: tuple[int, int]) -> dict[str, tuple[tuple[int, ...], type]]:
    """Name -> (shape, dtype) of the arrays of a Packed (N, K) matrix."""
    N, K = shape
    panels = -(-N // PANEL)
    if scheme == "int8":
        return {
            "codes": ((panels, -(-K // 4), PANEL, 4), np.int8),
            "scale": ((N,), np.float32),
            "offset": ((panels * PANEL,), np.int32),
        }
    group = GROUP[scheme]
    groups = -(-K // group)
    words = groups * group // (4 if scheme == "q8_0" else 8)
    scale: dict[str, tuple[tuple[int, ...], type]] = {
        "q4_1": ((panels, groups, 2, PANEL), np.float16),
        "q8_0": ((panels, groups, PANEL), np.float16),
    }
    return {
        "codes": ((panels, words, PANEL, 4), np.uint8),
        "scale": scale.get(scheme, ((panels, groups, PANEL), np.float32)),
    }


def check_array(array: object, shape: tuple[int, ...], dtype: type, name: str) -> None:
    """Raise ValueError unless `array` is a whole one of a shape and dtype, as C reads it."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        there = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else array
        raise ValueError(f"{name} must be {shape} {np.dtype(dtype)}, not {there}")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(f"{name} must be contiguous and aligned")


def pack_int8(codes: np.ndarray, scale: np.ndarray) -> Packed:
    """codes (N, K) int8, scale (N,) float32 -> Packed.  Raises ValueError, TypeError."""
    if codes.dtype != np.int8:
        raise TypeError(f"pack_int8: codes must be int8, not {codes.dtype}")
    N, K = codes.shape
    if scale.shape != (N,):
        raise ValueError(f"pack_int8: scale {scale.shape} must be ({N},)")
    padded = _pad(codes, PANEL, 4, 0)  # (16 P, K')
    panels = len(padded) // PANEL
    words = padded.reshape(panels, PANEL, padded.shape[1] // 4, 4).swapaxes(1, 2)
    offset = 128 * padded.sum(axis=1, dtype=np.int32)
    return Packed("int8", (N, K), np.ascontiguousarray(words), scale.astype(np.float32), offset)


def pack_q8_0(codes: np.ndarray, scale: np.ndarray) -> Packed:
    """codes (N, K) int8, scale (P, ceil(K / 32), 16) -> Packed.  Raises ValueError, TypeError."""
    if codes.dtype != np.int8:
        raise TypeError(f"pack_q8_0: codes must be int8, not {codes.dtype}")
    padded = _pad(codes, PANEL, GROUP["q8_0"], 0)  # (16 P, K')
    words = padded.reshape(len(padded) // PANEL, PANEL, padded.shape[1] // 4, 4).swapaxes(1, 2)
    bytes_ = np.ascontiguousarray(words).view(np.uint8) ^ np.uint8(128)  # 128 added
    return Packed("q8_0", codes.shape, bytes_, scale.astype(np.float16))


def unpack_int8(packed: Packed, rows: np.ndarray | None = None) -> np.ndarray:
    """The codes of bytes as (N, K), or only the given rows of them, (*rows.shape, K)."""
    N, K = packed.shape
    if rows is None:
        rows = np.arange(N)
    words = packed.codes[rows // PANEL, :, rows % PANEL]  # (*rows, K'/4, 4)
    return words.reshape(*rows.shape, 4 * words.shape[-2])[..., :K]


def pack_4bit(
    scheme: str, codes: np.ndarray, scale: np.ndarray, kept: tuple[np.ndarray, ...] = ()
) -> Packed:
    """codes (N, K) uint8 below 16, scale as `layout` has it, float32 -> Packed.

    Raises ValueError for codes or shapes that do not fit.
    """
    N, K = codes.shape
    expected, dtype = layout(scheme, (N, K))["scale"]
    if scale.shape != expected:
        raise ValueError(f"pack_4bit: scale {scale.shape} must be {expected} for {scheme}")
    if codes.size and codes.max() > 15:
        raise ValueError(f"pack_4bit: code {codes.max()} does not fit four bits")
    padded = _pad(codes.astype(np.uint8), PANEL, GROUP[scheme], _ZERO_CODE[scheme])
    panels = len(padded) // PANEL
    words = padded.reshape(panels, PANEL, padded.shape[1] // 8, 2, 4)  # (P, 16, K'/8, half, byte)
    words = (words[:, :, :, 0] | words[:, :, :, 1] << 4).swapaxes(1, 2)
    return Packed(scheme, (N, K), np.ascontiguousarray(words), scale.astype(dtype), kept=kept)


def scale_panels(scale: np.ndarray) -> np.ndarray:
    """Scales of groups in rows, (N, G), as they are packed: (P, G, 16), zeros at the end."""
    padded = _pad(scale, PANEL, 1, 0)
    panels = len(padded) // PANEL
    return np.ascontiguousarray(padded.reshape(panels, PANEL, scale.shape[1]).swapaxes(1, 2))


def scale_rows(panels: np.ndarray, rows: int) -> np.ndarray:
    """The inverse of `scale_panels`: (P, G, 16) -> (N, G)."""
    P, G, _ = panels.shape
    return panels.swapaxes(1, 2).reshape(P * PANEL, G)[:rows]


def unpack_4bit(packed: Packed, rows: np.ndarray | None = None) -> np.ndarray:
    """The codes as (N, K) uint8, or only the given rows of them, (*rows.shape, K)."""
    N, K = packed.shape
    if rows is None:
        rows = np.arange(N)
    words = packed.codes[rows // PANEL, :, rows % PANEL]  # (*rows, K'/8, 4)
    codes = np.stack([words & 15, words >> 4], axis=-2)  # (*rows, K'/8, 2, 4)
    return codes.reshape(*rows.shape, 8 * words.shape[-2])[..., :K]


def dequantize(packed: Packed, rows: np.ndarray | None = None) -> np.ndarray:
    """The weights that the codes stand for, (N, K) float32, or only the given rows of them."""
    N, K = packed.shape
    if rows is None:
        rows = np.arange(N)
    if packed.scheme == "int8":
        return unpack_int8(packed, rows) * packed.scale[rows][..., None]

    def each(panels: np.ndarray) -> np.ndarray:  # (P, G, 16) -> (*rows, K)
        groups = panels[rows // PANEL, :, rows % PANEL].astype(np.float32)
        return np.repeat(groups, GROUP[packed.scheme], axis=-1)[..., :K]

    if packed.scheme == "q8_0":
        return (unpack_int8(packed, rows).astype(np.float32) - 128) * each(packed.scale)
    codes = unpack_4bit(packed, rows)
    if packed.scheme == "q4_1":
        step, minimum = each(packed.scale[:, :, 0]), each(packed.scale[:, :, 1])
        return codes * step + minimum  # the product of 4 and 11 bits is exact
    levels = np.arange(-8, 8, dtype=np.float32) if packed.scheme == "int4" else NF4_LEVELS
    return levels[codes] * each(packed.scale)


def _pad(matrix: np.ndarray, row_multiple: int, column_multiple: int, fill: int) -> np.ndarray:
    """`matrix` grown to multiples with `fill`."""
    N, K = matrix.shape
    return np.pad(matrix, ((0, -N % row_multiple), (0, -K % column_multiple)), constant_values=fill)
