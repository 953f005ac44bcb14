"""NF4 matrices as bitsandbytes keeps them: read to the bit, written, quantized as it does.

    NAME                                     uint8 (n / 2, 1): two codes a byte, the first one high
    NAME.absmax                              float32 (n / 64,), or bytes where they are nested
    NAME.quant_map                           float32 (16,): the levels
    NAME.nested_absmax, NAME.nested_quant_map    float32 (n / 64 / 256,), (256,)
    NAME.quant_state.bitsandbytes__nf4       JSON in bytes: shape, dtype, block sizes, offset

Their blocks run over the matrix as one long row, ours along each row: they are the same where a
row has a multiple of 64 values, and so a matrix goes from one to the other unchanged. What differs
is how scales become bytes. Ours are linear; theirs are entries of a table that is fine near 0 and
coarse far out (Dettmers et al. 2022), chosen for (scale - mean) / largest of 256.

Source: Dettmers et al. 2023; the layout, bitsandbytes 0.50.
Read next: peft.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from minigrad.nn.quantized import (
    GROUP,
    NF4_LEVELS,
    Packed,
    pack_4bit,
    scale_panels,
    scale_rows,
    unpack_4bit,
)
from tinygpt.exchange.errors import ExchangeError
from tinygpt.storage.reading import ANYTHING, COUNT, NUMBER, FormatError, one_of, parse_json

STATE = "quant_state.bitsandbytes__nf4"
SIZE, NESTED = GROUP["nf4"], 256  # values that share a scale; scales that share a second one
FORM = {
    "quant_type": one_of("nf4"), "blocksize": one_of(SIZE), "shape": (COUNT, COUNT),
    "nested_blocksize?": one_of(NESTED), "nested_offset?": NUMBER, str: ANYTHING,
}


class State(Protocol):
    """Arrays by name: a dict, or the files of a folder."""

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> np.ndarray: ...


def dynamic_map() -> np.ndarray:
    """The 256 values of a nested scale's byte, float32, rising.

    Seven decades, each with twice the values of the one below it, both signs; then 0 and 1. Theirs
    differ by an ulp here and there; a file brings the table that it was made with.
    """
    found = [0.0, 1.0]
    for decade in range(7):
        edges = np.linspace(0.1, 1, 2**decade + 1, dtype=np.float32)
        middles = (edges[:-1] + edges[1:]) / np.float32(2)
        values = [10.0 ** (decade - 6) * float(middle) for middle in middles]
        found += values + [-value for value in values]
    return np.sort(np.array(found)).astype(np.float32)


def read_nf4(state: State, name: str) -> Packed:
    """A matrix of theirs, the same weights to the bit.

    state: arrays of a file.  name: of the weight, as "model.layers.0.mlp.up_proj.weight".
    Raises ExchangeError for a state that is damaged, of another kind, or of rows that no whole
    number of blocks fills.
    """
    values = _values(state, name)
    N, K = values["shape"]
    if K % SIZE:
        raise ExchangeError(
            f"{name} has rows of {K} values, and blocks of {SIZE} run on from one row into the "
            "next: that is no matrix here. Open the float model."
        )
    codes = _part(state, name, "", (N * K // 2, 1), np.uint8).reshape(-1)
    levels = _part(state, name, ".quant_map", (len(NF4_LEVELS),), np.float32)
    if not np.array_equal(levels, NF4_LEVELS):
        raise ExchangeError(f"{name} has 16 levels that are not NF4's. Open the float model.")
    scale = _scales(state, name, N * K // SIZE, values).reshape(N, K // SIZE)
    both = np.stack([codes >> 4, codes & 15], axis=1).reshape(N, K)
    return pack_4bit("nf4", both, scale_panels(scale))


def nf4_shape(state: State, name: str) -> tuple[int, int]:
    """(N, K) of a matrix of theirs.  Raises ExchangeError as read_nf4."""
    N, K = _values(state, name)["shape"]
    return N, K


def write_nf4(packed: Packed, name: str) -> dict[str, np.ndarray]:
    """One of our matrices in their layout, the same weights to the bit.

    Raises ExchangeError for another scheme, or rows that no whole number of blocks fills.
    """
    N, K = packed.shape
    if packed.scheme != "nf4" or K % SIZE:
        raise ExchangeError(
            f"{name} is {packed.scheme} with rows of {K} values, and bitsandbytes keeps nf4 in "
            f"blocks of {SIZE}. Quantize to nf4 a model whose widths are multiples of {SIZE}."
        )
    scale = np.ascontiguousarray(scale_rows(packed.scale, N)).reshape(-1)
    return _state(name, (N, K), unpack_4bit(packed).reshape(-1), {"absmax": scale}, {})


def quantize_nf4(weight: np.ndarray, name: str, nested: bool = True) -> dict[str, np.ndarray]:
    """A float matrix as bitsandbytes itself would quantize it.

    weight: (N, K) float32, N K a multiple of 64.  nested: scales as bytes too.
    Codes are chosen by the exact scale, w times its float32 reciprocal, a tie going down; ours are
    chosen by the scale that will be there when it is read.
    """
    blocks = weight.reshape(-1, SIZE)
    scale = np.abs(blocks).max(axis=1)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
    middles = (NF4_LEVELS[1:] + NF4_LEVELS[:-1]) / np.float32(2)
    codes = np.searchsorted(middles, blocks * inverse[:, None]).astype(np.uint8).reshape(-1)
    if not nested:
        return _state(name, weight.shape, codes, {"absmax": scale}, {})
    offset = scale.mean(dtype=np.float32)
    rest = scale - offset
    largest = np.maximum.reduceat(np.abs(rest), np.arange(0, len(rest), NESTED))
    table = dynamic_map()
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(rest * np.repeat(np.float32(1) / largest, NESTED)[: len(rest)])
    near = np.searchsorted((table[1:] + table[:-1]) / np.float32(2), shares).astype(np.uint8)
    parts = {"absmax": near, "nested_absmax": largest, "nested_quant_map": table}
    more = {"nested_blocksize": NESTED, "nested_dtype": "float32", "nested_offset": float(offset)}
    return _state(name, weight.shape, codes, parts, more)


def _state(
    name: str, shape: tuple[int, ...], codes: np.ndarray, parts: Mapping[str, np.ndarray],
    more: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """The arrays of a file.  codes: (N K,) uint8, one a byte."""
    values = {
        "quant_type": "nf4", "blocksize": SIZE, "dtype": "float32", "shape": list(shape), **more
    }
    return {
        name: (codes[0::2] << 4 | codes[1::2])[:, None],
        **{f"{name}.{part}": array for part, array in parts.items()},
        f"{name}.quant_map": NF4_LEVELS,
        f"{name}.{STATE}": np.frombuffer(json.dumps(values).encode(), np.uint8),
    }


def _values(state: State, name: str) -> dict[str, Any]:
    """What the state's JSON says.  Raises ExchangeError."""
    text = state[f"{name}.{STATE}"] if f"{name}.{STATE}" in state else None
    if text is None or text.dtype != np.uint8:
        raise ExchangeError(f"{name} has no {STATE}: it is no NF4 of bitsandbytes. Copy it again.")
    try:
        values: dict[str, Any] = parse_json(text.tobytes(), FORM)
    except FormatError as error:
        raise ExchangeError(
            f"{name}: its {STATE} {error}. Copy the file again, or open the float model."
        ) from error
    return values


def _part(
    state: State, name: str, part: str, shape: tuple[int, ...], dtype: type
) -> np.ndarray:
    array = state[name + part] if name + part in state else None
    if array is None or array.shape != shape or array.dtype != dtype:
        there = "nothing" if array is None else f"{array.shape} {array.dtype}"
        raise ExchangeError(
            f"{name}{part} must be {shape} {np.dtype(dtype)}, not {there}. Copy the file again."
        )
    return array


def _scales(state: State, name: str, count: int, values: Mapping[str, Any]) -> np.ndarray:
    """The scale of each block, (count,) float32."""
    if "nested_offset" not in values:
        return _part(state, name, ".absmax", (count,), np.float32)
    codes = _part(state, name, ".absmax", (count,), np.uint8)
    table = _part(state, name, ".nested_quant_map", (256,), np.float32)
    seconds = -(-count // NESTED)
    largest = _part(state, name, ".nested_absmax", (seconds,), np.float32)
    offset = np.float32(values["nested_offset"])
    return table[codes] * np.repeat(largest, NESTED)[:count] + offset
