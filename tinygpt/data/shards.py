"""Tokens on disk: flat little-endian uint16 or uint32 files, memory-mapped, with a manifest.

    tokens/train-00000.bin, train-00001.bin, ..., validation-00000.bin, ..., manifest.json

uint16 holds every id of a vocabulary up to 65536, at two bytes a token. The manifest says what the
files are and what they were made from; it is written last, and the folder is renamed into place
only when it is whole, so a folder that has a manifest is complete.

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
from tinygpt.text.corpus import DataError

MANIFEST = "manifest.json"
SHARD_TOKENS = 1 << 26  # 128 MiB of uint16
FORMAT = 1


class ShardWriter:
    """Appends token arrays to numbered files of at most `shard_tokens` tokens each."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype, shard_tokens: int = SHARD_TOKENS):
        self._folder, self._name, self._dtype = folder, name, dtype
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
        name = f"{self._name}-{len(self.files):05d}.bin"
        self._file = DurableFile(self._folder / name)
        self.files.append({"file": name, "tokens": 0})
        self._room = self._limit

    def close(self) -> None:
        """All of it is on the disk when this returns."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Tokens(Sequence[Any]):
    """A split's tokens: its shards in a row, mapped, not read; `tokens[a:b]` is an array."""

    def __init__(self, arrays: Sequence[np.ndarray], dtype: Any = np.uint16):
        self.dtype = np.dtype(dtype)
        self._arrays = list(arrays)
        self._ends = np.cumsum([len(array) for array in self._arrays], dtype=np.int64)

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
        for array in self._arrays[first:]:
            parts.append(array[max(0, start - base) : stop - base])
            base += len(array)
            if base >= stop:
                break
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_tokens(folder: Path, manifest: dict[str, Any], split: str) -> Tokens:
    """Map one split.  Raises DataError for a file that is missing or of the wrong size."""
    dtype = np.dtype(manifest["dtype"])
    arrays = []
    for shard in manifest["splits"][split]:
        path = folder / shard["file"]
        size = path.stat().st_size if path.is_file() else -1
        if size != shard["tokens"] * dtype.itemsize:
            raise DataError(
                f"{path} is damaged: {max(size, 0)} bytes instead of "
                f"{shard['tokens'] * dtype.itemsize}. Delete {folder} to have it made again."
            )
        arrays.append(np.memmap(path, dtype, "r"))
    return Tokens(arrays, dtype)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished folder, None where there is none or it is of another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if manifest.get("format") == FORMAT else None


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, on the disk when this returns: from then on the folder counts."""
    text = json.dumps({"format": FORMAT, **manifest}, indent=1) + "\n"
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
