"""Pairs of texts: from a file or a generator to batches.

    eins<TAB>one                               a line of a .tsv file
    {"source": "eins", "target": "one"}        a line of a .jsonl file

In ids END_OF_TEXT stands behind source and target both, and before a target, where there is no
token yet to go on from.

Batches are made of pairs of similar length, so that little of them is padding: POOL batches are
drawn at once, sorted by length, cut, and handed out in random order.

Read next: objective.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygpt.data.batches import padded_rows
from tinygpt.inference.prompt import ids_of
from tinygpt.storage.reading import COUNT, RANDOM_STATE, TEXT, FormatError, check, parse_json
from tinygpt.text import DataError, numbers
from tinygpt.text.reading import read_text
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer

PADDING = -1  # a target that nobody asks for
POOL = 16  # batches
LINE = {"source": TEXT, "target": TEXT}
KEPT = {**LINE, "held_out": COUNT}  # of a run's pairs.jsonl


class Pair(NamedTuple):
    """A text, and what it is to become."""

    source: str
    target: str


@dataclass(frozen=True)
class Pairs:
    """What is learned from, and what is held out."""

    train: list[Pair]
    held_out: list[Pair]

    def to_text(self) -> str:
        """As a run keeps them: a JSON object a line."""
        lines = [
            json.dumps({**pair._asdict(), "held_out": held_out}, ensure_ascii=False)
            for held_out, pairs in enumerate((self.train, self.held_out))
            for pair in pairs
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Pairs:
        """What `to_text` wrote.  Raises FormatError."""
        splits: tuple[list[Pair], list[Pair]] = [], []
        for line in filter(None, text.split("\n")):
            values = parse_json(line, KEPT)
            splits[values["held_out"] > 0].append(Pair(values["source"], values["target"]))
        return cls(*splits)

    def both_ways(self) -> Pairs:
        """Each pair and its reverse."""
        turned = [[Pair(t, s) for s, t in pairs] for pairs in (self.train, self.held_out)]
        return Pairs(self.train + turned[0], self.held_out + turned[1])


def load_pairs(source: str, count: int, seed: int) -> list[Pair]:
    """Different pairs: of "numbers", or of a .tsv or .jsonl file.

    Raises DataError for a line that is no pair, naming it.
    """
    if source == "numbers":
        return [Pair(*pair) for pair in numbers.pairs(count, seed)]
    suffix = Path(source).suffix.lower()
    if suffix not in (".tsv", ".jsonl"):
        raise DataError(
            f'data.source = {source}: pairs come from "numbers", a .tsv or a .jsonl file. '
            "Write a source, a tab and its target on each line of a .tsv."
        )
    read = _from_tsv if suffix == ".tsv" else _from_json
    found = []
    for number, line in enumerate(read_text(source).split("\n"), 1):
        if line.strip():
            found.append(read(line, f"{source}, line {number}"))
    return list(dict.fromkeys(found))


def _from_tsv(line: str, where: str) -> Pair:
    parts = line.split("\t")
    if len(parts) != 2 or not all(parts):
        raise DataError(
            f"{where} has {len(parts)} parts between tabs. Write a source, a tab and its target."
        )
    return Pair(*parts)


def _from_json(line: str, where: str) -> Pair:
    try:
        values = parse_json(line, LINE)
    except FormatError as error:
        raise DataError(
            f'{where} {error}. Write {{"source": "...", "target": "..."}} on each line.'
        ) from error
    pair = Pair(values["source"], values["target"])
    if not all(pair):
        raise DataError(f"{where} has an empty text. Correct that line, or leave it out.")
    return pair


def split_pairs(pairs: Sequence[Pair], held_out: float, seed: int) -> Pairs:
    """Deal pairs out at random.  Raises DataError where nothing is left to learn from."""
    count = round(held_out * len(pairs))
    if len(pairs) - count < 1:
        raise DataError(
            f"{len(pairs)} pairs, {count} of them held out, leave none to learn from. Give more."
        )
    order = np.random.default_rng(seed).permutation(len(pairs)).tolist()
    return Pairs([pairs[i] for i in order[count:]], [pairs[i] for i in order[:count]])


class PairBatch(NamedTuple):
    """source (B, S), the first `lengths` (B,) of each row; ids, targets (B, T), targets[b, t] being
    what follows ids[b, t], PADDING where nothing does."""

    source: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray
    targets: np.ndarray

    @property
    def weight(self) -> int:
        """Tokens of the targets, which its mean loss is a mean of."""
        return int((self.targets != PADDING).sum())

    @property
    def tokens(self) -> int:
        """Tokens of sources and targets, without padding."""
        return int(self.lengths.sum()) + self.weight


class EncodedPairs:
    """Pairs as ids.  Raises DataError for a text that does not fit the context."""

    def __init__(self, pairs: Sequence[Pair], tokenizer: Tokenizer, context: int):
        self._end = tokenizer.special_id(END_OF_TEXT)
        self.sources, self.targets = (
            [ids_of(tokenizer, pair[side]) for pair in pairs] for side in (0, 1)
        )
        lengths = [list(map(len, self.sources)), list(map(len, self.targets))]
        self.lengths = np.array(lengths, np.int64).T  # (pairs, 2)
        if len(self) and self.lengths.max() > context:
            row, side = np.unravel_index(self.lengths.argmax(), self.lengths.shape)
            raise DataError(
                f"{pairs[row][side]!r} has {self.lengths.max()} tokens with its end, and "
                f"model.context is {context}. Set model.context={self.lengths.max()}, or leave "
                "such pairs out."
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Sequence[int]) -> PairBatch:
        """These pairs, padded to the longest of them."""
        source, lengths = padded_rows([self.sources[i] for i in rows], 0)
        targets, _ = padded_rows([self.targets[i] for i in rows], PADDING)
        ids = np.full_like(targets, self._end)
        ids[:, 1:] = np.where(targets[:, :-1] == PADDING, 0, targets[:, :-1])
        return PairBatch(source, lengths, ids, targets)

    def by_length(self, rows: np.ndarray) -> np.ndarray:
        """The same rows, those with short texts first: by the longer of a pair's two, so that
        both directions share a batch and each step learns from both."""
        return rows[np.argsort(self.lengths[rows].max(axis=1), kind="stable")]


class PairLoader:
    """Endless batches of random pairs of similar length.

    rng: the only source of randomness.  Its state, and the rows that are drawn and not yet handed
    out, are the loader's.
    """

    def __init__(self, pairs: EncodedPairs, batch_size: int, rng: np.random.Generator):
        self._pairs, self._batch_size, self._rng = pairs, batch_size, rng
        self._waiting: list[list[int]] = []

    def __iter__(self) -> Iterator[PairBatch]:
        return self

    def __next__(self) -> PairBatch:
        if not self._waiting:
            drawn = self._rng.integers(0, len(self._pairs), POOL * self._batch_size)
            cut = self._pairs.by_length(drawn).reshape(POOL, self._batch_size)
            self._waiting = self._rng.permutation(cut).tolist()
        return self._pairs.batch(self._waiting.pop())

    def state_dict(self) -> dict[str, Any]:
        """The place in the random stream and what is waiting, as plain JSON values."""
        return {"rng": self._rng.bit_generator.state, "waiting": self._waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken.  Raises FormatError for another state."""
        check(state, {"rng": RANDOM_STATE, "waiting": [[COUNT]]})
        if any(row >= len(self._pairs) for rows in state["waiting"] for row in rows):
            raise FormatError(f"waits for a pair beyond the {len(self._pairs)} that there are")
        self._rng.bit_generator.state = state["rng"]
        self._waiting = [list(rows) for rows in state["waiting"]]
