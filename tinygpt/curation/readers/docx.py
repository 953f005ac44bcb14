"""Word's .docx: a ZIP archive whose word/document.xml holds paragraphs of runs of text.

    <w:p> <w:r><w:t>A paragraph</w:t></w:r> <w:r><w:tab/><w:t>of two runs.</w:t></w:r> </w:p>

Deleted text (tracked changes), field codes and alternative drawings are left out.

Source: ECMA-376, part 1, 17.3.  Read next: epub.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.readers.archive import opened, parse
from tinygpt.curation.source import Source

MAIN = "word/document.xml"
BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
LEFT_OUT = {"del", "instrText", "Fallback", "moveFrom"}


def read(source: Source) -> Iterator[Read | Refused]:
    """The document as one.  Raises FormatError."""
    with source.whole() as path, opened(path) as archive:
        data = archive.read(MAIN)
    paragraphs: list[str] = []
    parts: list[str] = []
    inside = {"t": 0, "left": 0, "p": 0}

    def start(name: str, attributes: dict[str, str]) -> None:
        inside["left"] += name in LEFT_OUT
        inside["t"] += name == "t"
        inside["p"] += name == "p"
        if name in BREAKS and inside["p"] and not inside["left"]:
            parts.append(BREAKS[name])

    def end(name: str) -> None:
        inside["left"] -= name in LEFT_OUT
        inside["t"] -= name == "t"
        inside["p"] -= name == "p"
        if name == "p":
            paragraphs.append("".join(parts).strip(" "))
            parts.clear()

    def text(data: str) -> None:
        if inside["t"] and not inside["left"]:
            parts.append(data)

    parse(data, start, end, text)
    yield Read("", "\n\n".join(p for p in paragraphs if p), "utf-8")
