"""Text for `tinygpt tokenizer`: files of any bytes and size, folders, named corpora, stdin."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tinygpt.errors import UserError
from tinygpt.text.corpus import CORPORA, SUFFIXES, load_corpus
from tinygpt.tokenizer.base import Tokenizer
from tinygpt.tokenizer.bpe import BPETokenizer
from tinygpt.tokenizer.counting import WordCounts
from tinygpt.tokenizer.parallel import blocks
from tinygpt.tokenizer.pretokenize import PATTERNS

STDIN = "-"


def find(sources: Sequence[str]) -> list[Path | str]:
    """The files that `sources` name, and the names of corpora and STDIN among them, in order.

    Raises UserError for a path that is not there or a folder without text.
    """
    out: list[Path | str] = []
    for source in sources:
        path = Path(source)
        if source in (*CORPORA, STDIN):
            out.append(source)
        elif path.is_dir():
            found = [p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file()]
            if not found:
                raise UserError(f"no {', '.join(SUFFIXES)} files in {source}. Give a text.")
            out += sorted(found)
        elif path.exists():
            out.append(path)
        else:
            raise UserError(f"no file or folder {source!r}. Give the path of a text.")
    return out


def size(paths: Iterable[Path | str]) -> int | None:
    """Bytes in all, None when one of them cannot say."""
    total = 0
    for path in paths:
        if not isinstance(path, Path):
            return None
        total += path.stat().st_size
    return total


def open_bytes(path: Path | str) -> BinaryIO:
    """A file, or standard input for STDIN.  Raises UserError."""
    if str(path) == STDIN:
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}. Give a file.") from None


def count(paths: Iterable[Path | str], words: WordCounts, report: Callable[[int], object]) -> int:
    """Count the words of every text; report(bytes) as they are read; returns their sum."""
    total = 0
    for path in paths:
        if path in CORPORA:
            for document in load_corpus(path):
                text = document.text.encode()
                words.add(text)
                total += len(text)
                report(len(text))
        else:
            with open_bytes(path) as stream:
                counted = _Counted(stream, report)
                words.add_stream(counted)  # type: ignore[arg-type]  # it has read()
                total += counted.total
    return total


class _Counted:
    """A stream that reports how much was read."""

    def __init__(self, stream: BinaryIO, report: Callable[[int], object]):
        self._stream, self._report, self.total = stream, report, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.total += len(data)
        self._report(len(data))
        return data


def characters(paths: Iterable[Path | str]) -> Iterator[str]:
    """All text in pieces of whole characters.  Raises UserError for what is not UTF-8."""
    for path in paths:
        if path in CORPORA:
            yield from (document.text for document in load_corpus(path))
            continue
        decoder = codecs.getincrementaldecoder("utf-8")()
        with open_bytes(path) as stream:
            try:
                while data := stream.read(1 << 20):
                    yield decoder.decode(data)
                yield decoder.decode(b"", final=True)
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path} is not UTF-8 ({error.reason}). A BPE tokenizer takes any bytes."
                ) from None


def parts(tokenizer: Tokenizer, stream: BinaryIO) -> Iterable[Any]:
    """The text in parts that the tokenizer cuts as it cuts the whole."""
    known = isinstance(tokenizer, BPETokenizer) and tokenizer.pattern in PATTERNS
    return blocks(stream) if known else [stream.read()]
