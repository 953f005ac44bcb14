"""What was judged, in one SQLite file: it survives a kill at any time, and several raters at once.

    items      a prompt and two answers, a and b; of ratings a alone
    raters     a code that somebody chose, and when they consented
    verdicts   who preferred what, which answer stood left, why, and how long it took

A verdict is on the disk before the rater sees the next pair (synchronous = FULL). Which answer
stands left, and in which order the items come, is a coin of the file's seed, the rater and the
item: the same again after a restart, and another for everybody.

Read next: pairs.py, server.py.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tinygpt.errors import UserError
from tinygpt.storage.paths import shown

CHOICES = {"pairs": ("left", "right", "tie"), "ratings": ("good", "bad", "unsure")}
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS raters (code TEXT PRIMARY KEY, consented REAL NOT NULL);
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY, rater TEXT NOT NULL REFERENCES raters, item INTEGER NOT NULL
    REFERENCES items, left TEXT NOT NULL, preferred TEXT, reasons TEXT NOT NULL, note TEXT NOT NULL,
    seconds REAL NOT NULL, at REAL NOT NULL, UNIQUE (rater, item)
);
"""


@dataclass(frozen=True)
class Item:
    """A prompt and two answers to it, or one that is rated, a."""

    id: int
    prompt: str
    a: str
    b: str = ""


class Verdict(NamedTuple):
    """left: "a" or "b", which answer stood there; "" of a rating.
    preferred: "a" or "b", of a rating "good" or "bad"; None for a tie, or who was unsure."""

    rater: str
    item: int
    left: str
    preferred: str | None
    reasons: tuple[str, ...]
    note: str
    seconds: float
    at: float


class Store:
    """A file of items and verdicts.

    Raises UserError for a file that is none.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise UserError(
                f"{shown(self.path)} is no file of feedback, or cannot be written ({error}). Give "
                "another with --out."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Items.

    def add(self, items: Iterable[tuple[str, ...]], seed: int, kind: str = "pairs") -> None:
        """Put (prompt, a, b) in, of "ratings" (prompt, a), in one piece."""
        rows = [(*item, "")[:3] for item in items]
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('seed', ?)", (str(seed),))
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('kind', ?)", (kind,))
            self._db.executemany("INSERT INTO items (prompt, a, b) VALUES (?, ?, ?)", rows)

    @property
    def kind(self) -> str:
        """What is asked: for a choice between "pairs", or for "ratings" of single answers."""
        found = self._db.execute("SELECT value FROM facts WHERE name = 'kind'").fetchone()
        return "pairs" if found is None else str(found[0])  # files of before know no other

    def items(self) -> list[Item]:
        """All of them, in order."""
        return [Item(*row) for row in self._db.execute("SELECT id, prompt, a, b FROM items")]

    # Raters.

    def consent(self, code: str) -> None:
        """A rater has read what is done with their answers; the first time counts."""
        self._db.execute("INSERT OR IGNORE INTO raters VALUES (?, ?)", (code, time.time()))

    def knows(self, code: str) -> bool:
        """Whether somebody with this code has consented."""
        found = self._db.execute("SELECT 1 FROM raters WHERE code = ?", (code,)).fetchone()
        return found is not None

    def next(self, code: str) -> Item | None:
        """What a rater is to judge now, None when all is done."""
        done = {item for (item,) in self._db.execute(
            "SELECT item FROM verdicts WHERE rater = ?", (code,)
        )}
        left = [item for item in self.items() if item.id not in done]
        return min(left, key=lambda item: self._coin(code, item.id, "order"), default=None)

    def progress(self, code: str) -> tuple[int, int]:
        """(judged by a rater, items there are)."""
        (done,) = self._db.execute(
            "SELECT count(*) FROM verdicts WHERE rater = ?", (code,)
        ).fetchone()
        (count,) = self._db.execute("SELECT count(*) FROM items").fetchone()
        return done, count

    def left(self, code: str, item: int) -> str:
        """Which answer stands left for a rater: "a" or "b"."""
        return "ab"[self._coin(code, item, "side") % 2]

    def _coin(self, code: str, item: int, what: str) -> int:
        (seed,) = self._db.execute("SELECT value FROM facts WHERE name = 'seed'").fetchone()
        digest = hashlib.blake2b(json.dumps([seed, code, item, what]).encode(), digest_size=8)
        return int.from_bytes(digest.digest(), "big")

    # Verdicts.

    def judge(
        self, code: str, item: int, choice: str, reasons: Sequence[str], note: str, seconds: float
    ) -> None:
        """Keep a verdict; one that is there already stays as it is (a page that sent it twice).

        choice: one of CHOICES of this kind.
        """
        left = self.left(code, item) if self.kind == "pairs" else ""
        right = "b" if left == "a" else "a"
        named: dict[str, str | None] = {"left": left, "right": right, "tie": None, "unsure": None}
        preferred = named.get(choice, choice)
        self._db.execute(
            "INSERT OR IGNORE INTO verdicts (rater, item, left, preferred, reasons, note, seconds, "
            "at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (code, item, left, preferred, json.dumps(list(reasons)), note, seconds, time.time()),
        )

    def undo(self, code: str) -> int | None:
        """Take a rater's last verdict back.  Returns its item, None if there is none."""
        found = self._db.execute(
            "DELETE FROM verdicts WHERE id = (SELECT max(id) FROM verdicts WHERE rater = ?) "
            "RETURNING item", (code,),
        ).fetchone()
        return None if found is None else int(found[0])

    def item(self, number: int) -> Item | None:
        """The item of a number."""
        row = self._db.execute(
            "SELECT id, prompt, a, b FROM items WHERE id = ?", (number,)
        ).fetchone()
        return None if row is None else Item(*row)

    def verdicts(self) -> list[Verdict]:
        """All of them, oldest first."""
        rows = self._db.execute(
            "SELECT rater, item, left, preferred, reasons, note, seconds, at FROM verdicts "
            "ORDER BY id"
        )
        return [Verdict(r[0], r[1], r[2], r[3], tuple(json.loads(r[4])), *r[5:]) for r in rows]
