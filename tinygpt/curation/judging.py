"""Third stage, a part at a time: every document is judged alone.

In this order, and the first that drops a document is the reason:

    reading.empty  exact.documents  language.only           what it is
    exact.paragraphs  exact.lines  c4.lines                 taken out of it
    gopher ... fineweb                                      rules/__init__.py
    quality  decontamination  pii                           what it holds

Leaves of a part:  judged-N.rows    work.row_of: text, fate, what was measured and taken out
                   alive-N.npy      ALIVE: of those that are kept, where they begin
                   keys-N.npy       (bands, kept) uint64, of near.py

Read next: near.py, grouping.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.curation import decontaminate, exact, near, pii, quality
from tinygpt.curation.language import UNKNOWN
from tinygpt.curation.rules import c4
from tinygpt.curation.rules.settings import measure
from tinygpt.curation.rules.view import View
from tinygpt.curation.work import Work, row_of
from tinygpt.storage.durable import replacing

EXCERPT = 1000  # characters that are kept of what was dropped
KEPT = "kept"
ALIVE = np.dtype([("document", "<u4"), ("place", "<i8"), ("bytes", "<i8")])


class Document:
    """A document while it is judged.

    fate: KEPT, or the rule that dropped it.  removed: bytes that each rule took.
    """

    def __init__(self, row: dict[str, Any]):
        self.row, self.text, self.fate = row, row.pop("text"), KEPT
        self.removed: dict[str, int] = {}
        self.measured: dict[str, float] = {}
        if row["cleaned"]:
            self.removed["clean"] = row["cleaned"]

    def edit(self, rule: str, text: str) -> None:
        """The text is another from here on; nothing left of it drops the document."""
        taken = len(self.text.encode()) - len(text.encode())
        if taken:
            self.removed[rule] = self.removed.get(rule, 0) + taken
        if self.text and not text.strip():
            self.text = text
            self.drop(rule)
        self.text = text

    def drop(self, rule: str) -> None:
        self.fate = rule
        self.removed[rule] = self.removed.get(rule, 0) + len(self.text.encode())

    def packed(self, redacted: bool) -> bytes:
        """As it stands in judged-N.rows.  redacted: what is kept of a dropped one is as well."""
        text = self.text
        if self.fate != KEPT:
            text = excerpt(text) if redacted else text[:EXCERPT]
        measured = f"[{', '.join(map(_short, self.measured.values()))}]"
        made = {**self.row, "fate": self.fate, "removed": self.removed, "measured": measured}
        return row_of(made, text)


def excerpt(text: str) -> str:
    """The first EXCERPT characters of a text without what is somebody's.

    What is looked at ends far behind them, so that no address is cut where it could be seen; a
    beginning of so many addresses that their placeholders are too short is looked at whole.
    """
    beginning = pii.redact(text[: 4 * EXCERPT])[0]
    if len(beginning) < 2 * EXCERPT < 4 * EXCERPT < len(text):
        beginning = pii.redact(text)[0]
    return beginning[:EXCERPT]


def _short(value: float) -> str:
    """A value in the account, as JSON: six digits, null for NaN."""
    return "null" if value != value else repr(float(f"{value:.6g}"))


class Judge:
    """What a part's documents are judged by.

    common: language -> its commonest words.  Make one for a part.
    """

    def __init__(self, work: Work, common: dict[str, list[str]]):
        self.settings = work.settings
        self.common = {language: frozenset(words) for language, words in common.items()}
        self.lines = self.settings.line_rules()
        self.pii = self.settings.of("pii")
        self.score = quality.scorer(work)
        items, n = work.plan["against"], self.settings.of("decontamination")["words"]
        self.items = decontaminate.load(Path(items["path"]), n) if items else None
        self.only = set(self.settings.of("language")["only"])

    def __call__(self, document: Document, first: bool, gone: list[int]) -> None:
        """Judge one.  first: no document before equals it.  gone: its units that are furniture."""
        if not document.text:
            document.drop("reading.empty")
        elif not first:
            document.drop("exact.documents")
        elif self.only and document.row["language"] not in self.only:
            document.drop("language.only")
        for step in (self._take_out, self._ask_rules, self._ask_examples, self._redact):
            if document.fate == KEPT:
                step(document, gone)

    def _take_out(self, document: Document, gone: list[int]) -> None:
        whole = document.text
        paragraphs = {number for number in gone if number < exact.LINES}
        lines = {number - exact.LINES for number in gone if number >= exact.LINES}
        if paragraphs:
            document.edit("exact.paragraphs", exact.without(whole, paragraphs, ()))
        if lines and document.fate == KEPT:
            document.edit("exact.lines", exact.without(whole, paragraphs, lines))
        if self.lines is not None and document.fate == KEPT:
            document.edit("c4.lines", c4.keep_lines(document.text, self.lines)[0])

    def _ask_rules(self, document: Document, gone: list[int]) -> None:
        language = document.row["language"]
        common = () if language == UNKNOWN else self.common.get(language, ())
        view = View(document.text, common)
        document.measured = measure(view, self.settings.limits)
        failed = self.settings.first_failed(document.measured)
        if failed is not None:
            document.drop(failed)


    def _ask_examples(self, document: Document, gone: list[int]) -> None:
        if self.score is not None:
            score = document.row["quality"] = round(self.score(document.text), 4)
            if score < self.settings.of("quality")["least_score"]:
                document.drop("quality")
                return
        if self.items is not None and self.items.touch(document.text):
            document.drop("decontamination")

    def _redact(self, document: Document, gone: list[int]) -> None:
        if not self.pii["on"]:
            return
        text, found = pii.redact(document.text)
        if found:
            document.row["found"] = found
            document.edit("pii", text)
        if self.pii["drop"] and sum(found.values()) > self.pii["drop"]:
            document.drop("pii")


def judge_part(work: Work, part: int) -> None:
    """Make what this stage leaves of a part."""
    known = json.loads(work.path("survey", suffix=".json").read_text("utf-8"))
    base, judge = known["bases"][part], Judge(work, known["common"])
    firsts = work.load("firsts", None, mapped=True)
    near_on = work.settings.of("near")["on"]
    alive: list[tuple[int, int, int]] = []
    signatures: list[np.ndarray] = []
    with replacing(work.path("judged", part)) as out:
        for number, (document, gone) in enumerate(_documents(work, part)):
            judge(document, int(firsts[base + number]) == base + number, gone)
            if document.fate == KEPT:
                alive.append((number, out.size, len(document.text.encode())))
                if near_on:
                    signatures.append(near.signature(near.shingles(document.text)))
            out.write(document.packed(judge.pii["on"]))
        work.save("keys", part, near.banded(signatures))
        work.save("alive", part, np.array(alive, ALIVE))


def _documents(work: Work, part: int) -> Iterator[tuple[Document, list[int]]]:
    """(document, its furniture) of a part."""
    gone: dict[int, list[int]] = {}
    rows = work.load("gone", part)
    for document, unit in zip(rows["document"].tolist(), rows["unit"].tolist(), strict=True):
        gone.setdefault(document, []).append(unit)
    for number, row in enumerate(work.rows("read", part)):
        yield Document(row), gone.get(number, [])
