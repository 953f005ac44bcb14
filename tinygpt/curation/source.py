"""Which files are curated: everything below a folder that some reader knows.

A source is a file, or a stretch of one whose lines are documents of their own (.jsonl), so that a
dump of several gigabytes is shared among workers. What is hidden, a run, a cache or a virtual
environment is left out, as in training (../text/files.py), and each such path is in the account.

Read next: encoding.py.
"""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from tinygpt.errors import UsageError
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import FormatError
from tinygpt.text.files import walk

STRETCH = 32 << 20  # bytes of a .jsonl file in one source
PART = 16 << 20  # bytes of sources that one worker reads in one go
RATIO, SLACK = 200, 64 << 20  # a packed file may grow so many times, or to so many bytes


@dataclass(frozen=True)
class Source:
    """A file, or bytes start to stop of one.

    path: of the file.  name: below the folder, "/" between its parts; how the account calls it.
    start, stop: documents of a file in stretches belong to the one that they begin in.
    """

    path: Path
    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def suffixes(self) -> list[str]:
        """Of the name, in lower case: [".jsonl", ".gz"]."""
        return [suffix.lower() for suffix in Path(self.name).suffixes]

    @property
    def packed(self) -> bool:
        return self.suffixes[-1:] == [".gz"]

    def open(self) -> BinaryIO:
        """All bytes of the file, unpacked.  Raises OSError; reads raise FormatError for a bomb."""
        file = open(self.path, "rb")
        if self.packed:
            return cast(BinaryIO, io.BufferedReader(_Unpacked(file, self.size)))
        return file

    @contextmanager
    def whole(self) -> Iterator[Path]:
        """A file with all bytes, unpacked, for readers that jump about in it.

        Raises OSError, FormatError for a bomb.
        """
        if not self.packed:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="tinygpt-unpacked-") as folder:
            path = Path(folder, "whole")
            with self.open() as file, open(path, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            yield path


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, as long as it is not far more than a text could be packed into."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._stream = file, gzip.open(file)
        self._left = max(SLACK, RATIO * size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except (EOFError, OSError, zlib.error) as error:
            raise FormatError(f"is damaged gzip ({error})") from None
        self._left -= len(data)
        if self._left < 0:
            raise FormatError(f"unpacks to more than {RATIO} times its size: a bomb, or no text")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    sources: in the order of their names.  left: (name, bytes, why) of what is not read.
    """

    sources: list[Source]
    left: list[tuple[str, int, str]]


def find(given: str | Path, suffixes: set[str], out: Path) -> Found:
    """The sources of a file or folder, but not what lies in `out`.

    suffixes: those that a reader knows.

    Raises UsageError where there is nothing.
    """
    root = Path(expand(given))
    there = kind(root)
    if there not in ("file", "folder"):
        what = f"is a {there}" if there else "is not there"
        raise UsageError(f"{shown(root)} {what}. Give a folder of documents, or a file.")
    left: list[tuple[str, int, str]] = []
    paths: list[Path] = []

    def leave(path: Path, why: str) -> None:
        left.append((shown(path.relative_to(root)), 0, why))

    if there == "file":
        paths, root = [root], root.parent
    else:
        paths = [path for _, path in walk(root, leave)]
    sources: list[Source] = []
    beyond = out.resolve()
    paths = [path for path in paths if beyond not in path.resolve().parents]
    for path in sorted(paths, key=lambda path: path.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix()
        size = path.stat().st_size if path.is_file() else 0
        why = _why_not(path, size, suffixes)
        if why:
            left.append((shown(name), size, why))
        else:
            sources += _stretches(path, shown(name), size)
    return Found(sources, left)


def _why_not(path: Path, size: int, suffixes: set[str]) -> str:
    """Why nobody reads a file, "" if somebody does."""
    if path.name.startswith("."):
        return "hidden"
    if not path.is_file():
        return "neither a file nor a link to one"
    names = [suffix.lower() for suffix in path.suffixes]
    if names[-1:] == [".gz"]:
        names.pop()
    if not names or names[-1] not in suffixes:
        return f"no reader for {names[-1]}" if names else "no suffix"
    return "" if size else "empty"


def _stretches(path: Path, name: str, size: int) -> Iterator[Source]:
    step = STRETCH if name.lower().endswith(".jsonl") else max(size, 1)
    yield from (
        Source(path, name, start, min(start + step, size)) for start in range(0, size, step)
    )


def parts(sources: list[Source]) -> list[list[Source]]:
    """Sources in a row, about PART bytes together: what one worker does at a time."""
    made: list[list[Source]] = []
    room = 0
    for source in sources:
        if room < source.size or not made:
            made.append([])
            room = PART
        made[-1].append(source)
        room -= source.size
    return made

