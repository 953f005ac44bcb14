"""The safetensors format: a header in JSON, then raw arrays. Nothing in such a file can run.

    8 bytes   length of the header (little-endian)
    header    {"__metadata__": {text: text}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}}
    arrays    row-major, little-endian, one after another

Arrays are streamed out, so writing needs no second copy of a model, and mapped in, so a page of
weights takes memory when it is first read. What the header promises is held against the size of
the file before anything is built from it.

Source: https://github.com/huggingface/safetensors, "Format"; a test reads our files with it.
Read next: durable.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.storage.durable import DurableFile

NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
    "bool": "BOOL",
}
DTYPES = {name: np.dtype(kind) for kind, name in NAMES.items()}
DTYPES["BF16"] = np.dtype(np.uint16)  # the upper half of a float32; NumPy has no such type
LONGEST_HEADER = 1 << 28  # bytes


class FormatError(ValueError):
    """A file that is no safetensors file, or not a whole one."""


@dataclass(frozen=True)
class Tensors:
    """An opened file.

    metadata: its texts.  entries: name -> its part of the header.  arrays: name -> mapped array,
    read-only.
    """

    metadata: dict[str, str]
    entries: dict[str, dict[str, Any]]
    arrays: dict[str, np.ndarray]


def describe(
    tensors: Mapping[str, np.ndarray], bfloat16: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """The header's entries for arrays that will lie one after another, in this order.

    bfloat16: names of uint16 arrays that hold bfloat16 values.
    """
    entries, offset = {}, 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        dtype = "BF16" if name in bfloat16 else NAMES[array.dtype.name]
        entries[name] = {
            "dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, end],
        }
        offset = end
    return entries


def write(
    file: DurableFile,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    bfloat16: Collection[str] = (),
    alignment: int = 8,
) -> None:
    """Stream arrays into an open file; the first begins on a multiple of `alignment` bytes.

    Raises OSError.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    text = json.dumps({**header, **describe(tensors, bfloat16)}).encode()
    text += b" " * (-(8 + len(text)) % alignment)
    file.write(len(text).to_bytes(8, "little") + text)
    for array in tensors.values():
        file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def open_tensors(path: str | Path) -> Tensors:
    """Map a file.

    Raises OSError, or FormatError for what is not safetensors, truncated, longer than its header
    says, or described by a header that contradicts itself.
    """
    path = Path(path)
    if path.stat().st_size < 10:
        raise FormatError("it is too short to hold a header")
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(mapped[:8].tobytes(), "little")
    if mapped[8] != ord("{") or length > LONGEST_HEADER:
        raise FormatError("it does not begin with a header")
    if 8 + length > mapped.size:
        raise FormatError(f"it ends after {mapped.size} bytes, within its header")
    metadata, entries = _parse(mapped[8 : 8 + length].tobytes())
    end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if mapped.size != 8 + length + end:
        raise FormatError(f"it has {mapped.size} bytes of {8 + length + end}")
    data = mapped[8 + length :]
    return Tensors(metadata, entries, {name: _view(data, e) for name, e in entries.items()})


def _parse(text: bytes) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """(metadata, entries), every entry checked.  Raises FormatError."""
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("metadata that is not text")
        for name, entry in header.items():
            shape, (begin, end) = entry["shape"], entry["data_offsets"]
            if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                raise ValueError(f"{name}: sizes must be whole numbers")
            if end - begin != math.prod(shape) * DTYPES[entry["dtype"]].itemsize:
                raise ValueError(f"{name}: its shape does not fill its bytes")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"its header cannot be read ({error})") from error
    return metadata, header


def _view(data: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
