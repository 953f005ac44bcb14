"""What a file says: one reader for each format, all of them streams of documents.

    text.py      .txt .text .md .markdown .rst, of any size
    html.py      .html .htm .xhtml: the text among the menus, by its density (trafilatura.py: by
                 the package of that name, if asked)
    lines.py     .jsonl: a document a line      .csv .tsv: a document a row
    docx.py      .docx      epub.py  .epub      on archive.py, which reads ZIP and XML with care
    pdf.py       .pdf       parquet.py  .parquet    if pypdf and pyarrow are installed

each also packed (.gz). A reader is a function of a source that yields documents and
`Refused` bytes; a FormatError that it raises ends the file and not the program. Long texts are cut
at paragraph ends into documents of at most LONGEST characters, so that no document needs a machine.

Read next: text.py, then html.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tinygpt.curation.source import Source
from tinygpt.storage.reading import FormatError

LONGEST = 200_000  # characters of a document: a long chapter, twice


class Read(NamedTuple):
    """A document.  label: what tells it from others of its file, "" for the only one."""

    label: str
    text: str
    encoding: str


class Refused(NamedTuple):
    """Bytes of a file that became no document, and why."""

    size: int
    why: str


Reader = Callable[[Source], Iterator[Read | Refused]]

# suffix: module:function, imported when the first file of its kind is met
READERS = {
    ".txt": "text:read", ".text": "text:read", ".md": "text:read", ".markdown": "text:read",
    ".rst": "text:read",
    ".html": "html:read", ".htm": "html:read", ".xhtml": "html:read",
    ".docx": "docx:read", ".epub": "epub:read", ".pdf": "pdf:read", ".parquet": "parquet:read",
    ".jsonl": "lines:read_json", ".csv": "lines:read_csv", ".tsv": "lines:read_csv",
}


def reader_of(source: Source, trafilatura: bool = False) -> Reader:
    """The reader of a source's format.  trafilatura: the package reads web pages."""
    suffixes = [suffix for suffix in source.suffixes if suffix != ".gz"]
    module, name = READERS[suffixes[-1]].split(":")
    module = "trafilatura" if trafilatura and module == "html" else module
    reader: Reader = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return reader


def read(source: Source, trafilatura: bool = False) -> Iterator[Read | Refused]:
    """The documents of a source, none longer than LONGEST; what is wrong with it comes last."""
    size = count = 0
    try:
        for found in reader_of(source, trafilatura)(source):
            count += 1
            size += found.size if isinstance(found, Refused) else 0
            if isinstance(found, Read):
                found = found._replace(text=sound(found.text))
            if isinstance(found, Refused) or len(found.text) <= LONGEST:
                yield found
                continue
            for number, piece in enumerate(cut(iter([found.text])), 1):
                yield found._replace(label=f"{found.label}#{number}", text=piece)
        if not count and not source.start:  # in a later stretch of a file no line may begin
            yield Refused(source.size, "holds no text")
    except FormatError as error:
        yield Refused(source.size - size, str(error))
    except OSError as error:
        yield Refused(source.size - size, f"cannot be read ({error.strerror or error})")


def sound(text: str) -> str:
    """The text, halves of a UTF-16 pair joined or U+FFFD: JSON can say "\\ud800", UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def cut(pieces: Iterator[str], longest: int = LONGEST) -> Iterator[str]:
    """A text in documents of at most `longest` characters, cut where it pauses.

    At the last blank line of the second half, else its last line end, space, or anywhere.
    """
    held = ""
    for piece in pieces:
        held += piece
        while len(held) > longest:
            at = longest
            for pause in ("\n\n", "\n", " "):
                found = held.rfind(pause, longest // 2, longest)
                if found >= 0:
                    at = found + len(pause)
                    break
            yield held[:at]
            held = held[at:]
    if held:
        yield held
