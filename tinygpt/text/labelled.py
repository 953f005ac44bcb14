"""Texts that somebody has put into classes: a folder for each class, a table, or lines of JSON.

    folder/code/a.txt, folder/prose/b.txt     the name of the folder is the class
    reviews.csv, reviews.tsv                  a head line with the columns text and label
    reviews.jsonl                             {"text": "...", "label": "..."} on each line

Read next: ../finetuning/classification.py.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.storage.paths import expand, shown
from tinygpt.storage.reading import ANYTHING, FormatError, parse_json
from tinygpt.text.files import DataError
from tinygpt.text.reading import read_text

FORMS = "Give a .jsonl, .csv or .tsv file, or a folder with a folder of texts for each class."


class Labelled(NamedTuple):
    """A text and the name of its class."""

    text: str
    label: str


def read_labelled(source: str | Path) -> list[Labelled]:
    """All labelled texts of a file or folder, in order.

    Raises DataError for another kind of file, a line that has no text or label, an empty text, or
    fewer than two classes.
    """
    path = Path(expand(source))
    if path.is_dir():
        found = _from_folder(path)
    else:
        readers = {".jsonl": _from_json, ".csv": _from_table, ".tsv": _from_table}
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise DataError(f"{shown(path)} is no collection of labelled texts. {FORMS}")
        found = reader(path)
    for number, (text, _) in enumerate(found, 1):
        if not text.strip():
            raise DataError(f"text {number} of {shown(path)} is empty. Leave it out.")
    classes = sorted({label for _, label in found})
    if len(classes) < 2:
        have = f"one class, {classes[0]!r}" if classes else "no labelled texts"
        raise DataError(f"{shown(path)} has {have}, and two classes are the least. {FORMS}")
    return found


def _from_folder(path: Path) -> list[Labelled]:
    folders = sorted(child for child in path.iterdir() if child.is_dir())
    return [
        Labelled(read_text(file), folder.name)
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.is_file() and not file.name.startswith(".")
    ]


def _from_json(path: Path) -> list[Labelled]:
    found = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(_pair(parse_json(line, {str: ANYTHING})))
        except FormatError as error:
            raise _bad_line(path, number, str(error)) from None
    return found


def _from_table(path: Path) -> list[Labelled]:
    text = io.StringIO(read_text(path), newline="")
    rows = csv.DictReader(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    found = []
    for row in rows:
        try:
            found.append(_pair(row))
        except FormatError as error:
            raise _bad_line(path, rows.line_num, str(error)) from None
    return found


def _pair(values: dict[str, Any]) -> Labelled:
    text, label = values.get("text"), values.get("label")
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if not isinstance(text, str) or not isinstance(label, str) or not label:
        raise FormatError('has no "text" and "label" that are words')
    return Labelled(text, label)


def _bad_line(path: Path, number: int, what: str) -> DataError:
    return DataError(
        f'line {number} of {shown(path)} {what}. Write {{"text": "...", "label": "..."}}, or a '
        "table whose head line names text and label."
    )
