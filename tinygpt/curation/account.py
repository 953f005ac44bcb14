"""The account: what became of every byte and every document, in one SQLite file.

    files       every path below the folder: read, refused or left out, and why
    documents   every document: where from, language, fate, cluster, split, what every rule measured
    removed     (document, rule, bytes): what each rule took of it; bytes - removed = bytes kept
    rules       the rules in the order of documents.measured, and their limits
    notes       what was decided before any document was looked at

The books balance: a file's bytes are those that were read and those that were refused; a document's
are those that were kept and those that each rule took. `balance` adds both up.

Read next: ../cli/curation.py, which answers from it.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown

NAME = "account.db"
SCHEMA = """
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE rules (number INTEGER PRIMARY KEY, name TEXT, least REAL, most REAL);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, name TEXT, bytes INTEGER, refused INTEGER, documents INTEGER,
    fate TEXT, why TEXT
);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT, file INTEGER, encoding TEXT, language TEXT, score REAL,
    bytes INTEGER, kept INTEGER, digest TEXT, fate TEXT, copy_of INTEGER, cluster INTEGER,
    split TEXT, measured TEXT, found TEXT, excerpt TEXT
);
CREATE TABLE removed (document INTEGER, rule TEXT, bytes INTEGER);
"""
INDEXES = """
CREATE INDEX by_name ON documents (name);
CREATE INDEX by_fate ON documents (fate);
CREATE INDEX by_document ON removed (document);
"""


class Balance(NamedTuple):
    """Bytes.  read, refused: of files.  documents: of their texts.  removed: rule -> bytes."""

    files: int
    read: int
    refused: int
    documents: int
    kept: int
    removed: dict[str, int]


class Account:
    """An account that is there.  Raises UsageError where none is."""

    def __init__(self, corpus: str | Path):
        path = Path(corpus) / NAME
        if not path.is_file():
            raise UsageError(
                f"{shown(corpus)} has no account. Name a folder that `tinygpt curate` made."
            )
        self.database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self.database.row_factory = sqlite3.Row

    def close(self) -> None:
        self.database.close()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds."""
        return [dict(row) for row in self.database.execute(query, values)]

    def note(self, key: str) -> Any:
        """A note's value, None for one that is not there."""
        rows = self.rows("SELECT value FROM notes WHERE key = ?", key)
        return json.loads(rows[0]["value"]) if rows else None

    def balance(self) -> Balance:
        """The sums."""
        files = self.rows("SELECT SUM(bytes) AS b, SUM(refused) AS r FROM files")[0]
        texts = self.rows("SELECT SUM(bytes) AS b, SUM(kept) AS k FROM documents")[0]
        taken = self.rows(
            "SELECT rule, SUM(bytes) AS b FROM removed GROUP BY rule ORDER BY b DESC, rule"
        )
        total, refused = files["b"] or 0, files["r"] or 0
        return Balance(
            total, total - refused, refused, texts["b"] or 0, texts["k"] or 0,
            {row["rule"]: row["b"] for row in taken},
        )

    def fates(self) -> dict[str, int]:
        """Fate -> documents, the commonest first."""
        rows = self.rows(
            "SELECT fate, COUNT(*) AS n FROM documents GROUP BY fate ORDER BY n DESC, fate"
        )
        return {row["fate"]: row["n"] for row in rows}

    def why(self, name: str) -> list[dict[str, Any]]:
        """The documents of a name: exactly it, else those whose name holds it, at most 20."""
        for test in ("name = ?", "instr(name, ?)"):
            rows = self.rows(f"SELECT * FROM documents WHERE {test} ORDER BY id LIMIT 20", name)
            if rows:
                break
        limits = self.rows("SELECT * FROM rules ORDER BY number")
        for row in rows:
            values = json.loads(row.pop("measured"))
            named = zip(limits, values, strict=False)
            row["rules"] = [{**limit, "value": value} for limit, value in named]
            row["removed"] = self.rows(
                "SELECT rule, bytes FROM removed WHERE document = ?", row["id"]
            )
        return rows

    def sample(self, fate: str, count: int = 20, seed: int = 0) -> list[dict[str, Any]]:
        """`count` random documents of a fate ("kept", or a rule's name): name and excerpt."""
        ids = [row["id"] for row in self.rows("SELECT id FROM documents WHERE fate = ?", fate)]
        chosen = sorted(random.Random(seed).sample(ids, min(count, len(ids))))
        marks = ",".join("?" * len(chosen))
        return self.rows(
            "SELECT id, name, bytes, fate, language, copy_of, measured, excerpt FROM documents "
            f"WHERE id IN ({marks}) ORDER BY id", *chosen
        )


def write(
    path: Path,
    notes: dict[str, Any],
    rules: Iterable[tuple[str, float, float]],
    files: Iterable[tuple[Any, ...]],
    documents: Iterator[tuple[tuple[Any, ...], dict[str, int]]],
) -> None:
    """A new account at `path`, in one transaction: the same rows are the same bytes.

    documents: (its row, what each rule removed), in the order of their ids.
    """
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # a half-written one is thrown away
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(SCHEMA)
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO notes VALUES (?, ?)", sorted((k, json.dumps(v)) for k, v in notes.items())
        )
        database.executemany("INSERT INTO rules VALUES (?, ?, ?, ?)", (
            (number, name, _finite(least), _finite(most))
            for number, (name, least, most) in enumerate(rules)
        ))
        database.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", files)
        for row, removed in documents:
            database.execute(f"INSERT INTO documents VALUES ({','.join('?' * len(row))})", row)
            if removed:
                database.executemany(
                    "INSERT INTO removed VALUES (?, ?, ?)",
                    ((row[0], rule, count) for rule, count in removed.items()),
                )
        database.execute("COMMIT")
        database.executescript(INDEXES)


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None
