"""Files of many documents: a JSON object a line, or a row of a table.

Which field is the text? The first of NAMES that is there; in a table without such a column, the one
whose cells are longest in its first rows.

Read next: ../clean.py.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from typing import Any

from tinygpt.curation.encoding import decoded, encoding_of
from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.source import Source
from tinygpt.storage.reading import ANYTHING, FormatError, parse_json

NAMES = ("text", "content", "body", "document", "article", "story", "message", "raw_content")
LONGEST_LINE = 64 << 20  # bytes
SAMPLE = 50  # rows looked at to find the column
SHORTEST = 20.0  # characters of its cells on average


def read_json(source: Source) -> Iterator[Read | Refused]:
    """A document a line, in UTF-8, of the lines that begin in the source's stretch."""
    packed = source.packed
    with source.open() as file:
        at = source.start
        if source.start:
            file.seek(at - 1)
            at += len(file.readline(LONGEST_LINE)) - 1
        number = 0
        while packed or at < source.stop:
            line = file.readline(LONGEST_LINE)
            if not line:
                return
            begins, at = at, at + len(line)
            if not line.strip():
                continue
            number += 1
            label = f"#{number}" if packed else f"#{begins}"
            try:
                yield Read(label, _text_of(parse_json(line, {str: ANYTHING})), "utf-8")
            except FormatError as error:
                yield Refused(0 if packed else len(line), f"a line {error}")


def _text_of(values: dict[str, Any]) -> str:
    for name in NAMES:
        if isinstance(values.get(name), str):
            text: str = values[name]
            return text.replace("\r\n", "\n")
    raise FormatError(f"has no text in any of {', '.join(NAMES)}")


def read_csv(source: Source) -> Iterator[Read | Refused]:
    """A document a row.  Raises FormatError for a table without a column of text."""
    csv.field_size_limit(LONGEST_LINE)
    encoding, mark = encoding_of(source.open)
    tab = ".tsv" in source.suffixes
    lines = _lines(decoded(source.open, encoding, mark))
    rows = csv.reader(lines, delimiter="\t" if tab else ",")
    try:
        head = next(rows, [])
        sample = list(itertools.islice(rows, SAMPLE))
        column = _column(head, sample)
        if column is None:
            raise FormatError(f"has no column of text; name one {', '.join(NAMES[:3])} ...")
        for number, row in enumerate(itertools.chain(sample, rows), 1):
            if column < len(row) and row[column].strip():
                yield Read(f"#{number}", row[column], encoding)
    except csv.Error as error:
        raise FormatError(f"is not CSV ({error})") from None


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        yield from (line + "\n" for line in whole)
    if rest:
        yield rest


def _column(head: list[str], sample: list[list[str]]) -> int | None:
    names = [name.strip().lower() for name in head]
    for name in NAMES:
        if name in names:
            return names.index(name)
    means = [
        sum(len(row[i]) for row in sample if i < len(row)) / max(1, len(sample))
        for i in range(len(head))
    ]
    best = max(range(len(means)), key=means.__getitem__, default=None)
    return best if best is not None and means[best] >= SHORTEST else None
