"""Which files a text is: one file, a pipe, standard input, or all texts below a folder.

Below a folder the .txt, .md and .py files count, in whatever case they are written. Left out, and
said: what is hidden, what other programs keep for themselves (virtual environments, caches), and
the runs of earlier trainings, whose logs would teach a model to write logs.

Read next: reading.py.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tinygpt.errors import UserError
from tinygpt.storage.paths import PathError, expand, kind, shown

SUFFIXES = (".txt", ".md", ".py")
STDIN = ("-", "/dev/stdin")
CACHES = ("__pycache__", "node_modules")
CONFIG_BYTES = 1 << 20  # a run's config.json is a thousandth of that
NAMED = 4  # of what was left out, so many are named


class DataError(UserError, ValueError):
    """Text that cannot be used; the message says which and what to do."""


class NoText(DataError):
    """What was named is no text: nothing is there, or something else."""

    exit_code = 2


@dataclass(frozen=True)
class TextFile:
    """A file to read.

    name: as a document, relative to the folder it was found in.  label: as messages name it.
    path: None is standard input.
    """

    name: str
    label: str
    path: Path | None

    @property
    def is_stream(self) -> bool:
        """Can it be read only once?"""
        return self.path is None or self.path.is_fifo()

    def open(self) -> BinaryIO:
        """Its bytes.  Raises DataError."""
        if self.path is None:
            return sys.stdin.buffer
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise unreadable(self.label, error) from None


class Found(NamedTuple):
    """The files of a text, its name, and sentences about what was left out."""

    name: str
    files: list[TextFile]
    notes: list[str]


def unreadable(label: str, error: OSError) -> DataError:
    """The error for a file that the system does not let us read."""
    return DataError(f"cannot read {label}: {error.strerror or error}. Check the file.")


def is_stream(given: str | Path) -> bool:
    """Whether a text would come from standard input or a pipe, which give it once."""
    return given in STDIN or Path(given).is_fifo()


def one_file(given: str | Path) -> TextFile:
    """The file, pipe or standard input that was named.

    Raises NoText for a path where there is none, or a folder, a device or a socket.
    """
    if given in STDIN:
        return TextFile("stdin", "standard input", None)
    path = expand(given)
    try:
        there = kind(path)
    except PathError as error:
        raise NoText(str(error)) from None
    if there in ("file", "pipe"):
        return TextFile(Path(path).name, shown(path), Path(path))
    if not there:
        raise NoText(f"no file '{shown(path)}'. Give the path of a text.")
    raise NoText(f"{shown(path)} is a {there}, not a text. Give a file.")


def find(given: str | Path) -> Found:
    """What `given` names: a file, a pipe, "-" for standard input, or the texts below a folder.

    Raises NoText as `one_file` and for a folder without texts, DataError for what cannot be read.
    """
    path = Path(given if given in STDIN else expand(given))
    if not path.is_dir():
        if given not in STDIN and not os.path.lexists(path):
            raise NoText(
                f"no file or folder '{shown(path)}'. "
                'Give the path of a text, or "stories" or "python", which need none.'
            )
        file = one_file(given)
        return Found(file.name, [file], [])
    texts, notes = _below(path)
    if not texts:
        raise NoText(
            f"no {', '.join(SUFFIXES)} files in {shown(path)}. Give a text file or another folder."
            + "".join(f" {note}" for note in notes)
        )
    files = [TextFile(p.relative_to(path).as_posix(), shown(p), p) for p in texts]
    return Found(path.name, files, notes)


def _below(root: Path) -> tuple[list[Path], list[str]]:
    """The texts below a folder in sorted order, and in sentences what was left out."""
    texts: list[Path] = []
    left: dict[str, list[str]] = {}  # why -> which
    others: Counter[str] = Counter()  # suffix -> files

    def leave(path: Path, why: str) -> None:
        left.setdefault(why, []).append(shown(path.relative_to(root)))

    for folder, path in walk(root, leave):
        suffix, hidden = path.suffix.lower(), path.name.startswith(".")
        if suffix not in SUFFIXES:
            others[suffix] += not hidden
        elif hidden:
            leave(path, "hidden")
        elif path.name == "log.txt" and is_run(folder):
            leave(path, "the log of a run")
        elif path.is_file():
            texts.append(path)
        else:
            leave(path, "neither a file nor a link to one")
    return sorted(texts), _notes(root, left, others)


def walk(root: Path, leave: Callable[[Path, str], None]) -> Iterator[tuple[Path, Path]]:
    """(folder, file) of every file below `root` but in folders that are left out."""

    def refuse(error: OSError) -> None:
        raise unreadable(shown(error.filename), error) from None

    for name, folders, files in os.walk(root, onerror=refuse):
        folder = Path(name)
        reasons = {child: _why_left_out(folder / child) for child in sorted(folders)}
        for child, why in reasons.items():
            if why:
                leave(folder / child, why)
        folders[:] = [child for child, why in reasons.items() if not why]
        yield from ((folder, folder / child) for child in files)


def _why_left_out(folder: Path) -> str:
    """Why the texts below a folder are nobody's to learn, "" if they are."""
    if folder.is_symlink():
        return "a link to a folder"
    if folder.name.startswith("."):
        return "hidden"
    if (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").is_dir():
        return "a virtual environment"
    if folder.name in CACHES or (folder / "CACHEDIR.TAG").exists():
        return "a cache"
    return "a run" if is_run(folder) else ""


def is_run(folder: Path) -> bool:
    """Is this the folder of a run?  Its config.json has a section "training"."""
    path = folder / "config.json"
    try:
        if not path.is_file() or path.stat().st_size > CONFIG_BYTES:
            return False
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and isinstance(config.get("training"), dict)


def _notes(root: Path, left: dict[str, list[str]], others: Counter[str]) -> list[str]:
    notes = []
    for why, names in left.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        notes.append(f"left out of {shown(root)}, {why}: {', '.join(names[:NAMED])}{more}.")
    others = +others
    if others:
        common = sorted(others, key=lambda suffix: (-others[suffix], suffix))[:NAMED]
        kinds = ", ".join(shown(suffix) if suffix else "without a suffix" for suffix in common)
        notes.append(
            f"not read in {shown(root)}: {sum(others.values())} files that are not "
            f"{', '.join(SUFFIXES)} ({kinds})."
        )
    return notes
