"""Where text comes from: our own stories, Python's standard library, or the user's files.

A corpus is a list of documents that can be read again and again, each in pieces of a few megabytes,
so that nothing here ever holds a whole corpus in memory. Cleaning is minimal: a byte order mark is
dropped and line ends become "\\n"; everything else is the author's business.

Read next: split.py.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tinygpt.errors import UserError

CORPORA = ("stories", "python", "python+tests")  # those that need no file
PIECE = 4 << 20  # bytes read at a time
KEEP = 64 << 20  # bytes of generated text worth keeping in memory
LINE = re.compile(rb"(?<=\n)(?=[A-Za-z])")
BOM = b"\xef\xbb\xbf"
SUFFIXES = (".txt", ".md", ".py")
NOT_LIBRARY = {"site-packages", "dist-packages", "__pycache__", "lib-dynload"}
TESTS = {"test", "tests", "idle_test"}


class DataError(UserError, ValueError):
    """Text that cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Document:
    """A text with a name; `pieces()` yields it from the start, a few megabytes at a time."""

    name: str
    pieces: Callable[[], Iterator[str]]

    @property
    def text(self) -> str:
        return "".join(self.pieces())


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order; iterating starts over each time.

    fingerprint: changes when the text changes; prepared tokens are reused while it stays.
    """

    name: str
    documents: Callable[[], Iterator[Document]]
    fingerprint: str

    def __iter__(self) -> Iterator[Document]:
        return self.documents()


def load_corpus(
    source: str | Path,
    *,
    seed: int = 0,
    stories_mb: float = 8.0,
    errors: str = "strict",
) -> Corpus:
    """The corpus that `source` names.

    source: "stories", "python", "python+tests", or the path of a text file or a folder of them.
    seed, stories_mb: for the stories: the generator's seed, and millions of characters to write.
    errors: what to do with bytes that are not UTF-8: "strict" raises, "replace" puts U+FFFD.
    Raises DataError for a path that is not there, a folder without text, bytes that are not UTF-8.
    """
    if source == "stories":
        return stories_corpus(stories_mb, seed)
    if source in ("python", "python+tests"):
        return python_corpus(include_tests=source.endswith("tests"))
    return files_corpus(Path(source).expanduser(), errors=errors)


def stories_corpus(megabytes: float, seed: int) -> Corpus:
    """`megabytes` million characters of generated stories; same seed, same bytes."""
    from tinygpt.text import stories

    if not megabytes > 0:
        raise DataError(f"data.stories_mb = {megabytes} must be above 0. Try 8.")
    size = max(1, int(megabytes * 1e6))

    written: list[str] = []  # kept when small: writing them costs a second for every 4 MB

    def documents() -> Iterator[Document]:
        texts: Iterable[str] = written
        if not written:
            texts = stories.generate(size, np.random.default_rng(seed))
            if size <= KEEP:
                written.extend(texts)
                texts = written
        for number, text in enumerate(texts):
            yield Document(f"story {number}", partial(_whole, text))

    code = hashlib.blake2b(f"{size} {seed} ".encode())
    for path in sorted(Path(stories.__file__).parent.rglob("*.py")):
        # Another generator writes other stories. Comments count too: runs that began before have
        # this fingerprint in their checkpoints, so its sources change only when the stories do.
        code.update(path.read_bytes())
    return Corpus("stories", documents, code.hexdigest()[:32])


def _whole(text: str) -> Iterator[str]:
    yield text


def python_corpus(include_tests: bool = False) -> Corpus:
    """The standard library of the running interpreter, in sorted order, without site-packages."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skip = NOT_LIBRARY if include_tests else NOT_LIBRARY | TESTS
    paths = [
        path
        for path in sorted(root.rglob("*.py"))
        if not skip.intersection(path.relative_to(root).parts[:-1])
    ]
    if not paths:
        raise DataError(
            f"no library sources in {root}: this Python was installed without them. "
            "Use --data stories, or a folder of your own."
        )
    # A handful of its test files are in other encodings on purpose.
    return _from_files("python", root, [p for p in paths if _is_utf8(p)], "strict")


def files_corpus(path: Path, errors: str = "strict") -> Corpus:
    """One text file, or every .txt, .md and .py file below a folder, in sorted order."""
    if errors not in ("strict", "replace"):
        raise DataError(f'errors = {errors!r} is not known. Use "strict" or "replace".')
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        if not paths:
            raise DataError(
                f"no {', '.join(SUFFIXES)} files in {path}. Give a text file or another folder."
            )
        return _from_files(path.name, path, paths, errors)
    if not path.is_file():
        raise DataError(
            f"no file or folder {str(path)!r}. "
            'Give the path of a text, or "stories" or "python", which need none.'
        )
    return _from_files(path.name, path.parent, [path], errors)


def _from_files(name: str, root: Path, paths: list[Path], errors: str) -> Corpus:
    def documents() -> Iterator[Document]:
        for path in paths:
            yield Document(path.relative_to(root).as_posix(), partial(read_pieces, path, errors))

    digest = hashlib.blake2b(errors.encode())
    total = 0
    for path in paths:
        digest.update(f"\0{path.relative_to(root).as_posix()}\0".encode())
        for block in _blocks(path):
            digest.update(block)
            total += len(block)
    if total == 0:
        raise DataError(f"{name} is empty: {len(paths)} file(s), 0 bytes. Give some text.")
    return Corpus(name, documents, digest.hexdigest()[:32])


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while block := file.read(PIECE):
                yield block
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Check the file.") from error


def _is_utf8(path: Path) -> bool:
    try:
        for _ in read_pieces(path, "strict"):
            pass
    except DataError:
        return False
    return True


def read_pieces(path: Path, errors: str = "strict") -> Iterator[str]:
    """The text of a UTF-8 file in pieces that end at line ends (or between characters).

    Raises DataError with the file and the offset of the first byte that is not UTF-8.
    """
    offset, rest = 0, b""
    blocks = _blocks(path)
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        data = rest + block
        if offset == 0 and data.startswith(BOM):
            data, offset = data[len(BOM) :], len(BOM)
        cut = len(data) if following is None else _last_break(data)
        text = _decode(path, data[:cut], offset, errors)
        offset, rest = offset + cut, data[cut:]
        if text:
            yield text.replace("\r\n", "\n")
        block = following


def _last_break(data: bytes) -> int:
    """The latest place where `data` can be cut: before a line that starts with a letter, where
    every known BPE pattern cuts too; else after a line end; else before a character."""
    for start in (max(0, len(data) - 4096), 0):
        cut = max((match.start() for match in LINE.finditer(data, start)), default=0)
        if cut:
            return cut
    newline = data.rfind(b"\n") + 1
    if newline:
        return newline
    cut = len(data)
    while cut > max(0, len(data) - 4) and (data[cut - 1] & 0xC0) == 0x80:
        cut -= 1  # back over continuation bytes to their first byte
    return max(0, cut - 1)


def _decode(path: Path, data: bytes, offset: int, errors: str) -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset "
            f"{offset + error.start}. Convert it with `iconv -t utf-8`, or read on with U+FFFD "
            "in its place: --set data.errors=replace."
        ) from None
