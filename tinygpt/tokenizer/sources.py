"""Text for `tinygpt tokenizer`: files of any size, folders, named corpora, standard input.

Text is read as everywhere (../text/reading.py) or, where the caller asks for it, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tinygpt.text.corpus import CORPORA, load_corpus
from tinygpt.text.files import TextFile, find
from tinygpt.text.reading import Reader, pieces, raw_blocks
from tinygpt.tokenizer.counting import WordCounts

AT_ONCE = 1 << 19  # bytes read; several copies of a piece are alive at once
Texts = Iterable[TextFile | str]  # files, and names of corpora


def find_all(sources: Sequence[str]) -> tuple[list[TextFile | str], list[str]]:
    """(files and names of corpora, in order; sentences about what was left out).

    Raises DataError for a path that is not there or a folder without text.
    """
    texts: list[TextFile | str] = []
    notes: list[str] = []
    for source in sources:
        if source in CORPORA:
            texts.append(source)
        else:
            found = find(source)
            texts += found.files
            notes += found.notes
    return texts, notes


def size(texts: Texts) -> int | None:
    """Bytes in all, None when one of them cannot say."""
    total = 0
    for text in texts:
        if isinstance(text, str) or text.path is None or text.is_stream:
            return None
        total += text.path.stat().st_size
    return total


def open_text(file: TextFile, raw: bool = False) -> Reader:
    """A file as a stream of UTF-8, or of its very bytes if `raw`."""
    text = raw_blocks(file, AT_ONCE) if raw else map(str.encode, pieces(file, size=AT_ONCE))
    return Reader(text)


def count(texts: Texts, words: WordCounts, report: Callable[[int], object], raw: bool) -> int:
    """Count the words of every text; report(bytes) as they are read; returns their sum."""
    total = 0
    for stream in _streams(texts, raw):
        counted = _Counted(stream, report)
        words.add_stream(counted)  # type: ignore[arg-type]  # it has read()
        total += counted.total
    return total


def _streams(texts: Texts, raw: bool) -> Iterator[Reader]:
    for text in texts:
        if isinstance(text, str):
            for document in load_corpus(text):
                yield Reader(map(str.encode, document.pieces()))
        else:
            yield open_text(text, raw)


class _Counted:
    """A stream that reports how much was read."""

    def __init__(self, stream: Reader, report: Callable[[int], object]):
        self._stream, self._report, self.total = stream, report, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.total += len(data)
        self._report(len(data))
        return data


def characters(texts: Texts) -> Iterator[str]:
    """All text in pieces of whole characters.  Raises DataError for what is no text."""
    for text in texts:
        if isinstance(text, str):
            yield from (document.text for document in load_corpus(text))
        else:
            yield from pieces(text)
