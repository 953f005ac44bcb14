"""The suite "text": how well a model predicts a text that it did not learn from.

Read first: ../language_modelling.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.contamination import contaminated
from tinygpt.evaluation.language_modelling import LEARNED, Passage, beside, chosen, measure
from tinygpt.evaluation.subject import Subject
from tinygpt.evaluation.suite import Suite
from tinygpt.pretraining.objective import goes_on, open_run_tokens
from tinygpt.runs.run import Run
from tinygpt.storage.paths import shown
from tinygpt.text import DataError, load_corpus
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer

PIECE = 1_000_000  # tokens decoded at once
LIMIT = 400_000  # bytes that are looked at unless somebody asks for more
MEMORY = 0.5  # of a text's runs of words in what was learned: then the text was


class TextSuite(Suite):
    """learned: the text that the evaluated model learned from, for the models that only count.

    source: what the documents are, in words.
    """

    kind = "text"
    resumable = False

    def __init__(
        self, documents: Sequence[Passage], learned: str | None = None, limit: int | None = LIMIT,
        name: str = "text", source: str = "",
    ):
        self.documents, self._learned = chosen(documents, limit), learned
        size, whole = (
            sum(len(one.text.encode()) for one in some) for some in (self.documents, documents)
        )
        cut, of = size < whole, f" of {source}" * bool(source)
        much = f"{size:,} of {whole:,} bytes{of} (--bytes)" if cut else f"all {size:,} bytes{of}"
        notes = [f"measured on {much}"] if cut or source else []
        super().__init__(name, {"text": fingerprint(self.documents), "bytes": size}, notes)

    def __len__(self) -> int:
        return len(self.documents)

    def lines(self, subject: Subject, done: Collection[str]) -> Iterator[dict[str, Any]]:
        return measure(subject, self.documents)

    def close(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        if not any("nats" in line for line in lines):
            return {}
        return {"rivals": beside(lines, self.documents, self._learned)}


def fingerprint(documents: Sequence[Passage]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for one in documents:
        found.update(one.text.encode() + b"\0")
    return found.hexdigest()


def documents_of(source: str | Path) -> list[Passage]:
    """The texts of a file, a folder or a corpus by name.  Raises DataError as load_corpus."""
    return [Passage(one.name, one.text) for one in load_corpus(source)]


def held_out(path: str | Path) -> list[Passage]:
    """What a run has held out.  Raises UserError for one that has no text, or none held out."""
    run = Run.open(path)
    if not goes_on(run):
        raise UserError(
            f"{shown(run.path)} is a run of {run.config.objective} and has held out no running "
            "text. Give one: --data FILE."
        )
    dataset = open_run_tokens(run)
    found = _documents(dataset.tokenizer, np.asarray(dataset.validation))
    if not found:
        raise DataError(f"{shown(run.path)} has held out no text. Give one: --data FILE.")
    return found


def check_unread(documents: Sequence[Passage], source: str, model: str) -> None:
    """Raise UserError where a run has learned from what another, `source`, has held out.

    Runs of one corpus and of two seeds hold out other documents.
    """
    try:
        own = {one.text for one in held_out(model)}
    except UserError:
        return  # no run, or one whose text is gone
    asked = {one.name: one.text for one in documents if one.text not in own}
    known = contaminated(asked, training_pieces(model))
    learned_of = sum(share > MEMORY for share in known.values())
    if learned_of:
        raise UserError(
            f"{shown(model)} has learned from {learned_of} of the {len(documents)} texts that "
            f"{shown(source)} held out, and would repeat them. Give a text that neither has read: "
            "--data FILE."
        )


def learned(path: str | Path) -> str | None:
    """The beginning of what a run learned from; None where that is not known."""
    try:
        run = Run.open(path)
        if not goes_on(run):
            return None
        dataset = open_run_tokens(run)
    except UserError:
        return None  # a file, a model from elsewhere, a run whose text is gone
    return dataset.tokenizer.decode(np.asarray(dataset.train[:LEARNED]))[:LEARNED]


def training_pieces(path: str | Path) -> Iterator[str]:
    """All that a run learned from, in pieces; nothing where that is not known."""
    try:
        run = Run.open(path)
        dataset = open_run_tokens(run) if goes_on(run) else None
    except UserError:
        return  # as in `learned`
    if dataset is not None:
        for at in range(0, len(dataset.train), PIECE):
            yield dataset.tokenizer.decode(np.asarray(dataset.train[at : at + PIECE]))


def _documents(tokenizer: Tokenizer, ids: np.ndarray) -> list[Passage]:
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    parts = [ids] if end is None else np.split(ids, np.flatnonzero(ids == end))
    texts = [tokenizer.decode(part[part != end] if end is not None else part) for part in parts]
    return [
        Passage(f"held-out text {number}", text) for number, text in enumerate(texts, 1) if text
    ]
