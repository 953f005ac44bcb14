"""The safetensors format: a header in JSON, then raw arrays. Nothing in such a file can run.

    8 bytes   length of the header (little-endian)
    header    {"__metadata__": {text: text}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}}
    arrays    row-major, little-endian, one after another

Arrays are streamed out, so writing needs no second copy of a model, and mapped in, so a page of
weights takes memory when it is first read. What the header promises is held against the size of
the file before anything is built from it: arrays lie one after another, none overlaps another, and
all that lies in the file is of one.

Source: https://github.com/huggingface/safetensors, "Format"; a test reads our files with it.
Read next: durable.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.storage.durable import DurableFile
from tinygpt.storage.reading import COUNT, TEXT, FormatError, one_of, open_regular, parse_json

NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
    "bool": "BOOL",
}
# As the file holds them: the lowest byte first, whatever the machine does.
DTYPES = {name: np.dtype(kind).newbyteorder("<") for kind, name in NAMES.items()}
DTYPES["BF16"] = DTYPES["U16"]  # the upper half of a float32; NumPy has no such type
LONGEST_HEADER = 1 << 25  # bytes; a tokenizer of 200,000 merges takes 3 MB of it
ENTRY = {"dtype": one_of(*DTYPES), "shape": [COUNT], "data_offsets": (COUNT, COUNT)}
HEADER = {"__metadata__?": {str: TEXT}, str: ENTRY}


class ForeignError(FormatError):
    """A file that does not even begin as a safetensors file does."""


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
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        file.write(flat.view(np.uint8).data)


def open_tensors(path: str | Path) -> Tensors:
    """Map a file.

    Raises ForeignError for what is not safetensors, FormatError for what cannot be read, is
    truncated, longer than its header says, or described by a header that contradicts itself.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            if start[8:] != b"{" or not 1 < length <= LONGEST_HEADER:
                raise ForeignError("does not begin with a header")
            text = start[8:] + file.read(length - 1)
            size = file.seek(0, os.SEEK_END)
            if len(text) != length:
                raise FormatError(f"ends after {size} bytes, within its header")
            metadata, entries = _parse(text)
            end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
            if size != 8 + length + end:
                raise FormatError(f"has {size} bytes of {8 + length + end}")
            data = np.memmap(file, dtype=np.uint8, mode="r")[8 + length :]
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})") from error
    return Tensors(metadata, entries, {name: _view(data, e) for name, e in entries.items()})


def _parse(text: bytes) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """(metadata, entries), every entry checked.  Raises FormatError."""
    try:
        entries = parse_json(text, HEADER)
    except FormatError as error:
        raise FormatError(f"has a header that cannot be read: it {error}") from error
    metadata = entries.pop("__metadata__", {})
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        if begin != at:
            raise FormatError(f"has {name!r} at byte {begin} of its arrays, not at {at}")
        if end - begin != math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize:
            raise FormatError(f"has {name!r}, whose shape does not fill its bytes")
        at = end
    return metadata, entries


def _view(data: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    try:
        array = data[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    except ValueError as error:  # more sizes than NumPy knows, or a size too large beside a zero
        raise FormatError(f"has an array of shape {entry['shape']!s:.40} ({error})") from error
