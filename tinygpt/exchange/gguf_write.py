"""Writing GGUF: keys, table, and tensors that stream through one at a time.

Read first: gguf.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygpt.exchange import gguf_blocks
from tinygpt.exchange.gguf import ALIGNMENT, LIST, MAGIC, NUMBERS, TEXT, VERSIONS
from tinygpt.storage.durable import DurableFile

Values = Callable[[], np.ndarray]


class Unsigned(int):
    """A whole number that is written as uint32: what readers expect of counts and ids."""


def write(
    file: DurableFile,
    keys: Mapping[str, Any],
    tensors: Mapping[str, tuple[str, tuple[int, ...], Values]],
) -> None:
    """Stream a file out.

    keys: values are text, bool, Unsigned, float (written as float32), lists of text, or arrays.
    tensors: name -> (kind, shape, values): `values` gives the float32 array when its turn comes,
        so that no second copy of a model is needed.
    Raises OSError, and ValueError for rows that do not fill blocks of their kind.
    """
    header = MAGIC + struct.pack("<IQQ", VERSIONS[-1], len(tensors), len(keys))
    header += b"".join(_text(name) + _value(value) for name, value in keys.items())
    offset = 0
    sizes = {}
    for name, (kind, shape, _) in tensors.items():
        size = gguf_blocks.size_of(kind, shape, name)
        if size is None:
            raise ValueError(f"{name}: {kind} is not written here")
        header += _text(name) + struct.pack(
            f"<I{len(shape)}QIQ", len(shape), *reversed(shape), gguf_blocks.KINDS[kind].number,
            offset,
        )
        sizes[name] = size
        offset += size + -size % ALIGNMENT
    file.write(header + bytes(-len(header) % ALIGNMENT))
    for name, (kind, shape, values) in tensors.items():
        array = values()
        if array.shape != shape:
            raise ValueError(f"{name}: {array.shape} is not the {shape} that was announced")
        rows = gguf_blocks.quantize(array.reshape(-1, shape[-1]), kind)
        file.write(rows.tobytes() + bytes(-sizes[name] % ALIGNMENT))


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


_TYPES = {np.dtype(form): number for number, form in NUMBERS.items()}


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, Unsigned):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder("<"))
        return struct.pack("<IIQ", LIST, _TYPES[value.dtype], len(value)) + value.tobytes()
    items = b"".join(map(_text, value))
    return struct.pack("<IIQ", LIST, TEXT, len(value)) + items
