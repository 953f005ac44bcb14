"""The GGUF format: keys and values, a table of tensors, their bytes. Nothing in it can run.

    4 bytes   "GGUF"
    uint32    version, 2 or 3 (which differ only in that 3 may be big-endian; such are refused)
    uint64    number of tensors, number of keys
    keys      each: name, type (uint32), value
    tensors   each: name, number of dimensions (uint32), dimensions (uint64), type (uint32), offset
    padding   up to a multiple of general.alignment, 32 if that is not said
    bytes     of the tensors, each at its offset from here

A text is its length (uint64) and so many bytes of UTF-8; a list is its items' type (uint32), its
length (uint64) and the items. All little-endian. Dimensions stand with the fastest first, the
reverse of NumPy's order; a shape here is NumPy's.

Every count, length and offset is held against what is left of the file before anything is built
from it, and an item that takes n bytes here takes at least n / 64 of the file, so memory is bounded
by the file. The file is mapped: a page takes memory when it is first read.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Read next: gguf_blocks.py (what the bytes of a tensor mean), gguf_write.py.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinygpt.exchange import gguf_blocks
from tinygpt.storage.reading import FormatError, open_regular

MAGIC, VERSIONS, ALIGNMENT = b"GGUF", (2, 3), 32
MOST_DIMENSIONS = 4
TEXT, LIST = 8, 9
NUMBERS = {  # type of a value -> its layout
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8",
    11: "<i8", 12: "<f8",
}
SMALLEST = {TEXT: 8, **{kind: np.dtype(form).itemsize for kind, form in NUMBERS.items()}}  # bytes
KEY, TENSOR = 13, 24  # bytes that one takes at least


@dataclass(frozen=True)
class Entry:
    """A tensor in the table.

    kind: "F32", "Q4_1", ...  shape: outermost first.  begin: byte in the file.
    size: bytes, None for a kind that is not read here.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    size: int | None


class GGUF:
    """An opened file.

    keys: name -> value; lists of numbers are arrays.  tensors: name -> Entry, in the file's order.
    size: bytes of the file.
    """

    def __init__(
        self, keys: dict[str, Any], tensors: dict[str, Entry], data: mmap.mmap, size: int
    ):
        self.keys, self.tensors, self.size, self._data = keys, tensors, size, data

    def blocks(self, name: str) -> np.ndarray:
        """A tensor's bytes as they lie, mapped: (rows, bytes of a row) uint8, read-only.

        Raises FormatError for a kind that is not read here.
        """
        entry = self.tensors[name]
        if entry.size is None:
            raise FormatError(
                f"has {name} as {entry.kind}, which is not read here. Known: "
                f"{', '.join(gguf_blocks.KINDS)}"
            )
        flat = np.frombuffer(self._data, np.uint8, entry.size, entry.begin)
        return flat.reshape(math.prod(entry.shape[:-1]), -1)

    def read(self, name: str) -> np.ndarray:
        """A tensor's values, float32 of its shape.  Raises FormatError as `blocks`."""
        entry = self.tensors[name]
        rows = gguf_blocks.dequantize(self.blocks(name), entry.kind)
        return rows.reshape(entry.shape)

    def forget(self) -> None:
        """Give back the memory of the pages that were read; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)


def looks_like(path: Path) -> bool:
    """Whether a path is a file that begins as a GGUF does, or is called one.

    Whoever opens one that cannot be read or is none says why.
    """
    if path.suffix == ".gguf":
        return True
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, FormatError):
        return False


def open_gguf(path: str | Path) -> GGUF:
    """Map a file and read its keys and its table of tensors.

    Raises FormatError for what is no GGUF, truncated, or contradicts itself.
    """
    try:
        with open_regular(Path(path)) as file:
            size = file.seek(0, os.SEEK_END)
            if size < 24:
                raise FormatError(f"has {size} bytes, too few for a GGUF file")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})") from error
    reader = _Reader(data, size)
    counts = reader.head()
    keys = reader.keys(counts[1])
    return GGUF(keys, reader.tensors(counts[0], _alignment(keys)), data, size)


def _alignment(keys: Mapping[str, Any]) -> int:
    value = keys.get("general.alignment", ALIGNMENT)
    if type(value) is not int or not 0 < value <= 1 << 20 or value & (value - 1):
        raise FormatError(f"has general.alignment {value!r:.40}, which is no power of two")
    return value


class _Reader:
    """Reads forward through the bytes before the tensors, and never beyond the file."""

    def __init__(self, data: mmap.mmap, size: int):
        self.view, self.size, self.at = memoryview(data), size, 0

    def need(self, count: int, each: int, what: str) -> None:
        """Raise FormatError unless `count` items of at least `each` bytes can still follow."""
        if count * each > self.size - self.at:
            self.fail(f"{what}, {count:,} of them, which do not fit")

    def fail(self, what: str) -> NoReturn:
        raise FormatError(f"has at byte {self.at:,} of {self.size:,} {what}")

    def number(self, form: str, what: str) -> Any:
        size = struct.calcsize(form)
        if size > self.size - self.at:
            self.fail(f"{what}, which is cut off")
        (value,) = struct.unpack_from(form, self.view, self.at)
        self.at += size
        return value

    def text(self, what: str) -> str:
        length = self.number("<Q", what)
        self.need(length, 1, f"bytes of {what}")
        try:
            text = str(self.view[self.at : self.at + length], "utf-8")
        except UnicodeDecodeError:
            self.fail(f"{what} that is not UTF-8")
        self.at += length
        return text

    def head(self) -> tuple[int, int]:
        """(tensors, keys): how many there are."""
        magic, version = bytes(self.view[:4]), int.from_bytes(self.view[4:8], "little")
        if magic != MAGIC:
            raise FormatError(f"begins with {magic!r}, not with {MAGIC!r}: it is no GGUF file")
        if version not in VERSIONS:
            swapped = int.from_bytes(self.view[4:8], "big") in VERSIONS
            raise FormatError(
                "is big-endian, and only little-endian files are read" if swapped else
                f"is GGUF of version {version}, and versions 2 and 3 are read"
            )
        self.at = 8
        tensors, keys = self.number("<Q", "a count"), self.number("<Q", "a count")
        self.need(tensors, TENSOR, "tensors")
        self.need(keys, KEY, "keys")
        return tensors, keys

    def keys(self, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self.text("the name of a key")
            if name in found:
                self.fail(f"{name!r:.60} twice")
            found[name] = self.value(self.number("<I", "a type"), name)
        return found

    def value(self, kind: int, name: str) -> Any:
        what = f"the value of {name!r:.60}"
        if kind == TEXT:
            return self.text(what)
        if kind == LIST:
            return self.items(what)
        if kind not in NUMBERS:
            self.fail(f"{what}, whose type {kind} is none")
        return self.numbers(kind, 1, what)[0].item()

    def items(self, what: str) -> Any:
        kind, count = self.number("<I", what), self.number("<Q", what)
        if kind not in SMALLEST:  # lists of lists are allowed by the format and used by nobody
            self.fail(f"{what}, a list whose items' type {kind} is none that is read")
        self.need(count, SMALLEST[kind], f"items of {what}")
        return self.texts(count, what) if kind == TEXT else self.numbers(kind, count, what)

    def numbers(self, kind: int, count: int, what: str) -> np.ndarray:
        form = np.dtype(NUMBERS[kind])
        self.need(count, form.itemsize, f"items of {what}")
        found = np.frombuffer(self.view, form, count, self.at).astype(form.newbyteorder("="))
        if form.kind == "b" and (found.view(np.uint8) > 1).any():
            self.fail(f"{what}, which is neither true nor false")
        self.at += found.nbytes
        return found

    def texts(self, count: int, what: str) -> list[str]:
        """As `text`, without a call for each: a vocabulary has 50,000 and as many merges."""
        view, at, size, found = self.view, self.at, self.size, []
        length_at = struct.Struct("<Q").unpack_from
        try:
            for _ in range(count):
                begin = at + 8
                at = begin + length_at(view, at)[0]
                if at > size:
                    break
                found.append(str(view[begin:at], "utf-8"))
        except struct.error:
            self.fail(f"{what}, which is cut off after {len(found):,} items")
        except UnicodeDecodeError:
            self.fail(f"{what}, whose item {len(found):,} is not UTF-8")
        if len(found) < count:
            self.fail(f"{what}, whose item {len(found):,} is cut off")
        self.at = at
        return found

    def tensors(self, count: int, alignment: int) -> dict[str, Entry]:
        table = [self.tensor() for _ in range(count)]
        start = self.at + -self.at % alignment
        found: dict[str, Entry] = {}
        for name, kind, shape, offset in table:
            if name in found:
                raise FormatError(f"has the tensor {name!r:.60} twice")
            begin, size = start + offset, gguf_blocks.size_of(kind, shape, name)
            if offset % alignment or begin + (size or 0) > self.size:
                raise FormatError(
                    f"has {name!r:.60} {shape} {kind} at byte {begin:,}, which does not lie "
                    f"within its {self.size:,} bytes or is not a multiple of {alignment}"
                )
            found[name] = Entry(name, kind, shape, begin, size)
        _check_apart(found)
        return found

    def tensor(self) -> tuple[str, str, tuple[int, ...], int]:
        name = self.text("the name of a tensor")
        count = self.number("<I", "a number of dimensions")
        if not 1 <= count <= MOST_DIMENSIONS:
            self.fail(f"{name!r:.60} with {count} dimensions, and a tensor has 1 to 4")
        sizes = [self.number("<Q", "a dimension") for _ in range(count)]
        if not all(sizes) or math.prod(sizes) >= 1 << 48:
            self.fail(f"{name!r:.60} of {sizes} values, which no tensor has")
        kind = self.number("<I", "a tensor's type")
        offset = self.number("<Q", "an offset")
        return name, gguf_blocks.kind_name(kind), tuple(sizes[::-1]), offset


def _check_apart(tensors: Mapping[str, Entry]) -> None:
    """Raise FormatError for two tensors that share bytes."""
    end, before = 0, ""
    for entry in sorted(tensors.values(), key=lambda entry: entry.begin):
        if entry.begin < end:
            raise FormatError(f"has {entry.name!r:.60} in the bytes of {before!r:.60}")
        end, before = entry.begin + (entry.size or 0), entry.name
