"""The forms that a corpus is written in: lines of JSON, plain text, Parquet.

    jsonl     {"text", "name", "language"} a line; the default
    text      documents with a line <|endoftext|> between them, which no document holds (clean.py)
    parquet   the same columns, by pyarrow (pip install pyarrow: 48 MB)

Read next: writing.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygpt.errors import UsageError
from tinygpt.storage.durable import DurableFile
from tinygpt.text.curated import BETWEEN

SHARD = 64 << 20  # bytes of text after which another shard begins
ROWS = 1000  # of a Parquet file's group


class JsonLines:
    """Shards of one split in lines of JSON; the other forms derive from it.

    Files are in `folder`, named after the split.
    """

    suffix = ".jsonl"

    def __init__(self, folder: Path, split: str):
        self.folder, self.split = folder, split
        self.shards: list[dict[str, Any]] = []
        self._file: DurableFile | None = None
        self._room = 0
        self.documents = self.bytes = 0

    def add(self, name: str, language: str, text: str) -> None:
        """Append a document."""
        if self._file is None or self._room <= 0:
            self._end()
            file = f"{self.split}-{len(self.shards):05d}{self.suffix}"
            self._file = DurableFile(self.folder / file)
            self.shards.append({"file": file})
            self._room = SHARD
        size = len(text.encode())
        self._room -= size
        self.documents += 1
        self.bytes += size
        self.write(self._file, name, language, text)

    def write(self, file: DurableFile, name: str, language: str, text: str) -> None:
        row = {"text": text, "name": name, "language": language}
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def finish(self, file: DurableFile) -> None:
        """What stands at the end of a shard."""

    def _end(self) -> None:
        if self._file is not None:
            self.finish(self._file)
            self._file.close()
            self.shards[-1].update(self._file.summary())
            self._file = None

    def close(self) -> dict[str, Any]:
        """All of it is on the disk when this returns what the manifest says of it."""
        self._end()
        return {"documents": self.documents, "bytes": self.bytes, "shards": self.shards}


class PlainText(JsonLines):
    """Shards of plain text."""

    suffix = ".txt"

    def write(self, file: DurableFile, name: str, language: str, text: str) -> None:
        file.write((text + BETWEEN).encode())


class Parquet(JsonLines):
    """Shards in Parquet."""

    suffix = ".parquet"

    def __init__(self, folder: Path, split: str):
        super().__init__(folder, split)
        self._rows: list[tuple[str, str, str]] = []
        self._writer: Any = None

    def write(self, file: DurableFile, name: str, language: str, text: str) -> None:
        self._rows.append((text, name, language))
        if len(self._rows) >= ROWS:
            self._flush(file)

    def _flush(self, file: DurableFile) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [list(column) for column in zip(*self._rows, strict=True)] or [[], [], []]
        table = pa.table(dict(zip(("text", "name", "language"), columns, strict=True)))
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(_Sink(file), mode="w"), table.schema, compression="zstd"
            )
        self._writer.write_table(table)
        self._rows = []

    def finish(self, file: DurableFile) -> None:
        if self._rows:
            self._flush(file)
        self._writer.close()
        self._writer = None


class _Sink:
    """A DurableFile as pyarrow asks for one."""

    closed = False

    def __init__(self, file: DurableFile):
        self._file = file

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)

    def tell(self) -> int:
        return self._file.size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


FORMS: dict[str, type[JsonLines]] = {"jsonl": JsonLines, "text": PlainText, "parquet": Parquet}


def writer_of(form: str) -> Callable[[Path, str], JsonLines]:
    """The class of a form.  Raises UsageError for one that needs what is not installed."""
    if form == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(
                "--format parquet needs pyarrow (48 MB). Run `pip install pyarrow`, or take jsonl."
            ) from None
    return FORMS[form]
