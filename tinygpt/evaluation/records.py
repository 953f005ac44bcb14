"""Items of evaluations out of files: lines of JSON, a JSON list, .csv, .tsv, .parquet.

    for line, record in records(Path("arc.parquet"), ("question",)): ...

A record is an object with names, whatever the file; one that cannot be read is a Wrong with its
line, and those after it are read. Parquet needs pyarrow (the extra `parquet`).

Read next: questions.py, suites/files.py.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.errors import UserError
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError, brief, parse_json
from tinygpt.text.files import DataError, one_file
from tinygpt.text.reading import read_text

FORMS = "Give lines of JSON, a .csv, .tsv or .parquet file."
LONGEST_CELL = 1 << 24  # bytes of a table's cell, as of a line of JSON


class Wrong(NamedTuple):
    """A record that is none, and why."""

    name: str
    why: str


Record = dict[str, Any] | Wrong


def records(path: Path, heads: Collection[str]) -> Iterator[tuple[int, Record]]:
    """(line, record) of a file, from 1; of Parquet, which has no lines, (row, record).

    heads: a table whose first row has one of them begins with a head line; another is MMLU's.
    Raises DataError for another kind of file or one that cannot be read, UserError for Parquet
    without pyarrow.
    """
    one_file(path)
    ending = path.suffix.lower()
    if path.name.startswith("pro_stereotyped"):
        yield from _winobias(path)
    elif ending == ".parquet":
        yield from enumerate(_parquet(path), 1)
    elif ending in (".csv", ".tsv"):
        yield from _table(path, "\t" if ending == ".tsv" else ",", heads)
    else:
        text = read_text(path)
        if ending not in (".jsonl", ".json", ".ndjson") and text.lstrip()[:1] not in ("{", "["):
            raise DataError(f"{shown(path)} is no file of questions or answers. {FORMS}")
        yield from _json(path, text)


def _json(path: Path, text: str) -> Iterator[tuple[int, Record]]:
    if text.lstrip().startswith("["):
        try:
            found = parse_json(text)
        except FormatError as error:
            raise DataError(f"{shown(path)} {error}. {FORMS}") from None
        for number, record in enumerate(found, 1):
            yield number, _object(record, number, path)
        return
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, _object(parse_json(line), number, path)
        except FormatError as error:
            why = "ends in mid-line" if number == len(lines) else str(error)
            yield number, _wrong(number, path, why)


def _object(record: Any, number: int, path: Path) -> Record:
    if isinstance(record, dict):
        return record
    return _wrong(number, path, f"is {brief(record)}, not an object")


def _wrong(number: int, path: Path, why: str) -> Wrong:
    return Wrong(f"line {number}", f"line {number} of {shown(path)} {why}.")


def _table(path: Path, delimiter: str, heads: Collection[str]) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(LONGEST_CELL)
    rows = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    head: list[str] | None = None
    try:
        for row in rows:
            if head is None:
                known = not set(heads).isdisjoint(row)
                # MMLU's tables have no head line: a question, four choices, a letter.
                head = row if known else ["question", *"ABCD", "answer"]
                if known:
                    continue
            if not row:
                continue
            if len(row) == len(head):
                yield rows.line_num, dict(zip(head, row, strict=True))
            else:
                why = f"has {len(row)} cells, not {len(head)}"
                yield rows.line_num, _wrong(rows.line_num, path, why)
    except csv.Error as error:
        raise DataError(f"line {rows.line_num} of {shown(path)} is no row ({error}). {FORMS}") \
            from None


def _winobias(path: Path) -> Iterator[tuple[int, Record]]:
    """Sentences of two files, line by line: the stereotyped one and its counterpart."""
    other = path.with_name(path.name.replace("pro_", "anti_", 1))
    pro, anti = (read_text(one).splitlines() for one in (path, other))
    if len(pro) != len(anti):
        raise DataError(f"{shown(path)} has {len(pro)} lines and {shown(other)} {len(anti)}: they "
                        "are not of one set. Give two that belong together.")
    for number, pair in enumerate(zip(pro, anti, strict=True), 1):
        more, less = (re.sub(r"[\[\]]", "", line).partition(" ")[2].strip() for line in pair)
        if more == less or not more or not less:
            yield number, _wrong(number, path, "is no pair")
        else:
            yield number, {"sent_more": more, "sent_less": less, "bias_type": "gender"}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UserError(
            f"{shown(path)} is a Parquet file, which pyarrow reads (48 MB). Install it with "
            "`pip install pyarrow`, or save it as lines of JSON."
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"{shown(path)} cannot be read as Parquet: {error}. {FORMS}") from None
