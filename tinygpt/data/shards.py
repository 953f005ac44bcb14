"""Tokens on disk: flat little-endian uint16 or uint32 files with a manifest.

    tokens/train-00000.bin, train-00001.bin, ..., validation-00000.bin, ..., manifest.json

uint16 holds every id of a vocabulary up to 65536, at two bytes a token. The manifest says what the
files are, what they were made from, and the SHA-256 of each and of itself; it is written last, and
the folder is renamed into place only when it is whole, so a folder that has a manifest is complete.

Every byte is compared with its checksum when a split is opened (a second for a gigabyte). From then
on windows are read from the file, not mapped: a file that is cut while a model trains is an error
in words then, where a mapped page that is gone ends the process.

Read next: batches.py.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.storage.durable import DurableFile, flush_folder
from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    TEXT,
    FormatError,
    check_file,
    check_signature,
    one_of,
    read_json,
    signed,
)
from tinygpt.text.corpus import DataError

MANIFEST = "manifest.json"
SHARD_TOKENS = 1 << 26  # 128 MiB of uint16
FORMAT = 1
SHARD = {"file": TEXT, "tokens": COUNT, "sha256?": TEXT}  # earlier versions noted no checksums
MANIFEST_FORM = {
    "format": one_of(FORMAT), "fingerprint": TEXT, "made_from": {str: ANYTHING},
    "dtype": one_of("uint16", "uint32"), "vocab_size": COUNT, "splits": {str: [SHARD]},
    "sha256?": TEXT,
}


class ShardWriter:
    """Appends token arrays to numbered files of at most `shard_tokens` tokens each."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype, shard_tokens: int = SHARD_TOKENS):
        self._folder, self._name, self._dtype = folder, name, dtype.newbyteorder("<")
        self._room, self._limit = 0, shard_tokens
        self._file: DurableFile | None = None
        self.files: list[dict[str, Any]] = []

    def append(self, ids: np.ndarray) -> None:
        """Write ids, (n,) of any integer dtype whose values fit."""
        ids = np.ascontiguousarray(ids, self._dtype)
        while len(ids):
            if self._room == 0:
                self._next_file()
            taken = ids[: self._room]
            assert self._file is not None
            self._file.write(taken.tobytes())
            self.files[-1]["tokens"] += len(taken)
            self._room -= len(taken)
            ids = ids[len(taken) :]

    def _next_file(self) -> None:
        self.close()
        name = _shard_name(self._name, len(self.files))
        self._file = DurableFile(self._folder / name)
        self.files.append({"file": name, "tokens": 0})
        self._room = self._limit

    def close(self) -> None:
        """All of it is on the disk when this returns."""
        if self._file is not None:
            self._file.close()
            self.files[-1]["sha256"] = self._file.summary()["sha256"]
            self._file = None


def _shard_name(split: str, number: int) -> str:
    return f"{split}-{number:05d}.bin"


class Shard:
    """One open file of tokens.  `read` may be called by several threads and forked processes."""

    def __init__(self, path: Path, dtype: np.dtype, tokens: int):
        self.path, self.tokens, self._dtype = path, tokens, dtype.newbyteorder("<")
        self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)

    def __len__(self) -> int:
        return self.tokens

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens start to stop, (stop - start,).  Raises DataError if they are not there."""
        size = self._dtype.itemsize
        content = _read_at(self._handle, (stop - start) * size, start * size)
        if len(content) != (stop - start) * size:
            raise DataError(
                f"{self.path} was cut while it was in use: it had {self.tokens} tokens and ends "
                f"before token {stop}. Delete {self.path.parent} to have it made again."
            )
        ids = np.frombuffer(content, self._dtype)
        return ids.astype(ids.dtype.newbyteorder("="), copy=False)


def _read_at(handle: int, count: int, offset: int) -> bytes:
    """Up to `count` bytes of a file, fewer where it ends."""
    content = _pread(handle, count, offset)
    while len(content) < count:  # Linux reads at most 2 GB at once
        more = _pread(handle, count - len(content), offset + len(content))
        if not more:
            break
        content += more
    return content


def _seek_and_read(handle: int, count: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, count)


_pread = getattr(os, "pread", _seek_and_read)  # Windows has none


class Tokens(Sequence[Any]):
    """A split's tokens: its shards in a row; `tokens[a:b]` reads an array, read-only."""

    def __init__(self, shards: Sequence[Shard], dtype: Any = np.uint16):
        self.dtype = np.dtype(dtype)
        self._shards = list(shards)
        self._ends = np.cumsum([len(shard) for shard in self._shards], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            index = range(len(self))[index]
            return self[index : index + 1][0]
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError(f"tokens are read in order: step must be 1, not {step}")
        if start >= stop:
            return np.empty(0, self.dtype)
        first = int(np.searchsorted(self._ends, start, side="right"))
        base = int(self._ends[first - 1]) if first else 0
        parts = []
        for shard in self._shards[first:]:
            parts.append(shard.read(max(0, start - base), min(len(shard), stop - base)))
            base += len(shard)
            if base >= stop:
                break
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_tokens(folder: Path, manifest: dict[str, Any], split: str) -> Tokens:
    """One split, every byte of it compared with the manifest and every id with the vocabulary.

    Raises DataError for a file that is missing, altered or of the wrong size.
    """
    dtype = np.dtype(manifest["dtype"])
    ids = manifest["vocab_size"]

    def look(block: bytes) -> None:
        largest = int(np.frombuffer(block, dtype.newbyteorder("<")).max())
        if largest >= ids:
            raise FormatError(f"holds the id {largest}, and there are {ids}")

    shards = []
    for number, entry in enumerate(manifest["splits"].get(split, ())):
        path = folder / entry["file"]
        try:
            if entry["file"] != _shard_name(split, number):  # nor a path that leaves the folder
                raise FormatError(f"cannot be shard {number} of {split}")
            check_file(path, entry["tokens"] * dtype.itemsize, entry.get("sha256"), look)
            shards.append(Shard(path, dtype, entry["tokens"]))
        except (FormatError, OSError) as error:
            raise DataError(
                f"{path} is damaged: it {error}. Delete {folder} to have it made again."
            ) from error
    return Tokens(shards, dtype)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished folder, None where there is none.

    Raises FormatError for one that is damaged, altered or of another format.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    return check_signature(read_json(path, MANIFEST_FORM))


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, on the disk when this returns: from then on the folder counts."""
    text = json.dumps(signed({"format": FORMAT, **manifest}), indent=1) + "\n"
    with DurableFile(folder / MANIFEST) as file:
        file.write(text.encode())


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to fill, which takes its place if the block ends well.

    Raises DataError when the disk is full or does not let us write; `target` is then untouched.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield aside
        os.chmod(aside, 0o755)  # mkdtemp's folders are private
        old = aside.with_name(aside.name + "-old")
        if target.exists():
            os.replace(target, old)
        os.replace(aside, target)
        flush_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unwritable(target: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write the tokens to {target}: {error.strerror or error}. "
        "Free some space or choose another output folder."
    )
