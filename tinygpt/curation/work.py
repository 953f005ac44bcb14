"""The work that a curation does, in steps that survive a kill.

    CORPUS/.curate/plan.json             sources, parts and settings: what is to be done
    CORPUS/.curate/read-00000.rows       what a stage made of a part; there when it is whole
    ...

Each stage makes files of files, a part at a time, and every file appears under its name when it is
on the disk. So whoever finds a file need not make it again: a curation that was killed goes on
where it was, and since what a stage makes depends on its part alone, the bytes are the same
whoever made them, in whatever order, in how many processes.

Read next: reading.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinygpt.curation.rules.settings import Settings
from tinygpt.curation.source import Source
from tinygpt.storage.durable import replace_file, replacing

FOLDER = ".curate"
VERSION = 3  # of what the stages make; another begins anew
_JSON = json.JSONEncoder(ensure_ascii=False)


class Work:
    """A folder of work.  Raises FileNotFoundError where none was begun."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.plan: dict[str, Any] = json.loads((self.folder / "plan.json").read_text("utf-8"))
        self.settings = Settings(self.plan["settings"])

    @property
    def parts(self) -> int:
        return len(self.plan["parts"])

    def sources(self, part: int) -> list[tuple[int, Source]]:
        """(number, source) of a part's."""
        rows = ((number, self.plan["sources"][number]) for number in self.plan["parts"][part])
        return [(n, Source(Path(r["path"]), r["name"], r["start"], r["stop"])) for n, r in rows]

    def path(self, name: str, part: int | None = None, suffix: str = ".rows") -> Path:
        """Where a stage's file is, of a part or of the whole."""
        return self.folder / (f"{name}{suffix}" if part is None else f"{name}-{part:05d}{suffix}")

    def save(self, name: str, part: int | None, array: np.ndarray) -> None:
        """Write an array (.npy), whole or not at all."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        with replacing(self.path(name, part, ".npy")) as file:
            file.write(buffer.getbuffer())

    def load(self, name: str, part: int | None, mapped: bool = False) -> np.ndarray:
        """What `save` wrote."""
        path = self.path(name, part, ".npy")
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        return array

    def rows(self, name: str, part: int) -> Iterator[dict[str, Any]]:
        """The rows that a stage wrote of a part."""
        with open(self.path(name, part), "rb") as file:
            while row := read_row(file):
                yield row


def row_of(row: dict[str, Any], text: str) -> bytes:
    """A document as stages hand it on: a line of JSON that says how many bytes its text has, then
    those as they are, for JSON would have to look at every letter."""
    data = text.encode()
    return _JSON.encode({**row, "size": len(data)}).encode() + b"\n" + data


def read_row(file: BinaryIO) -> dict[str, Any]:
    """The row that begins here, its text under "text"; {} at the end."""
    line = file.readline()
    if not line:
        return {}
    row: dict[str, Any] = json.loads(line)
    row["text"] = file.read(row.pop("size")).decode()
    return row


@lru_cache(maxsize=1)
def opened(folder: str, key: str) -> Work:
    """The Work of a folder, once in a process.  key: of its plan."""
    return Work(folder)


def begin(out: Path, plan: dict[str, Any]) -> tuple[Work, bool]:
    """(the work of a plan, whether some was there to go on with).

    Work on another plan is thrown away.  Raises OSError.
    """
    folder = out / FOLDER
    text = json.dumps({"version": VERSION, **plan}, indent=1)
    path = folder / "plan.json"
    if path.is_file() and path.read_text("utf-8") == text:
        return Work(folder), True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    replace_file(path, text)
    return Work(folder), False


def end(out: Path) -> None:
    """Throw the work away: the corpus is there."""
    shutil.rmtree(out / FOLDER)


def key_of(plan: dict[str, Any]) -> str:
    """A text that differs when a plan does."""
    return hashlib.blake2b(json.dumps(plan).encode(), digest_size=16).hexdigest()
