"""A corpus that `tinygpt curate` made, read back: documents that know their split.

    corpus.json     what is there, with checksums

Read next: corpus.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.storage.paths import shown
from tinygpt.storage.reading import COUNT, TEXT, FormatError, check_signature, one_of, read_json
from tinygpt.text.files import DataError

MANIFEST = "corpus.json"
FORMAT = "tinygpt corpus 1"
BETWEEN = "\n<|endoftext|>\n"  # ends a document in a shard of plain text
SHARD = {"file": TEXT, "bytes": COUNT, "sha256": TEXT}
SPLIT = {"documents": COUNT, "bytes": COUNT, "shards": [SHARD]}
FORM = {
    "format": one_of(FORMAT), "kind": one_of("jsonl", "text", "parquet"),
    "splits": {"train": SPLIT, "validation": SPLIT, "test": SPLIT}, "sha256": TEXT,
}


class Curated(NamedTuple):
    """A document: its text, where it came from, its language and its split."""

    text: str
    name: str
    language: str
    split: str


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """What a curated folder holds, None for another.  Raises DataError for a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        if not isinstance(values, dict) or not str(values.get("format")).startswith("tinygpt "):
            return None  # another program's
        return check_signature(read_json(path, FORM))
    except FormatError as error:
        raise DataError(f"{shown(path)} is damaged: it {error}. Curate again.") from None


def documents(folder: Path, manifest: dict[str, Any]) -> Iterator[Curated]:
    """The documents, split by split.  Raises DataError for a shard that is not as it was made."""
    for split, part in manifest["splits"].items():
        for shard in part["shards"]:
            path = folder / shard["file"]
            try:
                if Path(shard["file"]).name != shard["file"]:
                    raise FormatError("leads out of the folder")
                if path.stat().st_size != shard["bytes"]:
                    raise FormatError(f"has not the {shard['bytes']} bytes that it was made with")
                for text, name, language in READERS[manifest["kind"]](path):
                    yield Curated(text, name, language, split)
            except (FormatError, OSError, ValueError) as error:
                raise DataError(f"{shown(path)} is damaged: it {error}. Curate again.") from None


def _json_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    with open(path, "rb") as file:
        for line in file:
            row = json.loads(line)
            yield row["text"], row["name"], row["language"]


def _plain_text(path: Path) -> Iterator[tuple[str, str, str]]:
    held: list[str] = []
    number = 0
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line == BETWEEN[1:]:
                yield "".join(held).removesuffix("\n"), f"{path.name}#{number}", "und"
                held, number = [], number + 1
            else:
                held.append(line)


def _parquet(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            f"{shown(path)} needs pyarrow (48 MB) to be read. Run `pip install pyarrow`."
        ) from None
    for batch in pq.ParquetFile(path).iter_batches(1000):
        rows = batch.to_pydict()
        yield from zip(rows["text"], rows["name"], rows["language"], strict=True)


READERS: dict[str, Callable[[Path], Iterator[tuple[str, str, str]]]] = {
    "jsonl": _json_lines, "text": _plain_text, "parquet": _parquet,
}
