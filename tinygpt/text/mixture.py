"""Several texts as one corpus, each drawn as often as a mixture says.

    [data]
    sources = ["corpus-de", "corpus-yo weight=2 epochs=4", "stories cap=2000000"]
    temperature = 2.0

A source is what data.source may be, then what is asked of it:

    weight   how much more often a token of it is drawn than its size alone would have it; 1
    epochs   how often it may be read; then the others go on without it; none: without end
    cap      characters of it that are taken, whole documents until they are reached; none: all

A corpus that `tinygpt curate` made counts as one source for each of its languages. With n_i tokens
of source i to learn from, a window is drawn from it with probability

    p_i ~ weight_i * n_i^(1 / temperature)        (Conneau et al. 2020, arXiv 1911.02116, 3.1)

At temperature 1 every token is as likely; above it small languages are read more often than they
are large, and towards infinity all alike. Nothing is copied: what is drawn, data/mixture.py says.

Read next: ../data/mixture.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tinygpt.storage.paths import expand
from tinygpt.text import curated
from tinygpt.text.corpus import CORPORA, Corpus, DataError, Document
from tinygpt.text.files import STDIN

KEYS = ("weight", "epochs", "cap")


@dataclass(frozen=True)
class Source:
    """An entry of data.sources."""

    source: str
    weight: float = 1.0
    epochs: float | None = None
    cap: float | None = None  # characters


def parse(entry: str) -> Source:
    """"corpus-yo weight=2 epochs=4".  Raises DataError for what is none."""
    words = entry.split(" ")
    given: dict[str, float] = {}
    while len(words) > 1 and "=" in words[-1]:
        key, _, value = words.pop().partition("=")
        try:
            number = float(value.replace("_", ""))
        except ValueError:
            number = 0.0
        if key not in KEYS or key in given or not 0 < number < float("inf"):
            raise DataError(
                f"data.sources: {key}={value} in {entry!r} is none of {', '.join(KEYS)} with a "
                "number above 0, each once. Write for example \"corpus-yo weight=2 epochs=4\"."
            )
        given[key] = number
    source = " ".join(words).strip()
    if not source or source in STDIN:
        raise DataError(f"data.sources: {entry!r} names no text that can be read again. Name one.")
    return Source(source, **given)


def mixed_corpus(sources: Sequence[Source], load: Callable[[str], Corpus]) -> Corpus:
    """The documents of all sources, one after the other; each knows its part.

    load: a source's name -> its corpus.  Raises DataError.
    """
    parts: list[tuple[Corpus, str | None, Source]] = []
    for source in sources:
        corpus = load(source.source)
        languages: Sequence[str | None] = (
            [None] if source.source in CORPORA else languages_of(Path(expand(source.source)))
        )
        parts += [(corpus, language, source) for language in languages]
    code = hashlib.blake2b(b"mixture")
    for corpus, language, source in parts:
        code.update(f"{corpus.fingerprint} {language} {source.cap}\n".encode())

    def documents() -> Iterator[Document]:
        for number, (corpus, language, source) in enumerate(parts):
            chosen = (one for one in corpus if language is None or one.language == language)
            for document in _capped(chosen, source.cap):
                name = f"{source.source}/{document.name}"
                yield replace(document, name=name, part=number)

    names = tuple(name_of(source.source, language) for _, language, source in parts)
    notes = dict.fromkeys(note for corpus, _, _ in parts for note in corpus.notes)
    name = " + ".join(source.source for source in sources)
    return Corpus(name, documents, code.hexdigest()[:32], tuple(notes), names)


def name_of(source: str, language: str | None) -> str:
    """How a part is called."""
    return f"{source} ({language})" if language else source


def asked_of(sources: Sequence[Source], part: str) -> Source:
    """The entry that a part, by its name, comes from."""
    return next(
        one for one in sources
        if part == one.source or (part.startswith(f"{one.source} (") and part.endswith(")"))
    )


def languages_of(folder: Path) -> list[str | None]:
    """The languages of a curated corpus, [None] for another text or a single one."""
    manifest = curated.manifest_of(folder) if folder.is_dir() else None
    if manifest is None:
        return [None]
    found = sorted({one.language for one in curated.documents(folder, manifest)})
    return list(found) if len(found) > 1 else [None]


def _capped(documents: Iterator[Document], cap: float | None) -> Iterator[Document]:
    """Documents until their characters reach the cap; the last is cut there."""
    left = float("inf") if cap is None else cap
    for document in documents:
        if left <= 0:
            return
        if cap is not None:
            size = sum(map(len, document.pieces()))
            if size > left:
                document = replace(document, pieces=partial(_cut, document.pieces, int(left)))
            left -= size
        yield document


def _cut(pieces: Callable[[], Iterator[str]], length: int) -> Iterator[str]:
    for piece in pieces():
        if length <= 0:
            return
        yield piece[:length]
        length -= len(piece)
