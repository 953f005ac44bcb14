"""Batches: random windows to learn from, and every token once to be judged on.

A window of T + 1 tokens gives T questions: x is the first T, y the same shifted by one, so that
y[t] is the token that follows x[0..t].

Read next: baselines.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from tinygpt.storage.reading import RANDOM_STATE, check
from tinygpt.text.corpus import DataError

Tokens = Sequence[int] | np.ndarray
Made = TypeVar("Made")


class Batch(NamedTuple):
    """ids, targets: (B, T) int64, targets[b, t] being the token that follows ids[b, t]."""

    ids: np.ndarray
    targets: np.ndarray

    @property
    def weight(self) -> int:
        """How many answers its mean loss is a mean of."""
        return self.targets.size

    @property
    def tokens(self) -> int:
        """How many tokens were read for that."""
        return self.ids.size


def check_length(tokens: Tokens, context: int, what: str = "the text") -> None:
    """Raise DataError when not one window of context + 1 tokens fits."""
    if len(tokens) <= context:
        shorter = f", or set model.context = {len(tokens) - 1} or less" if len(tokens) > 1 else ""
        raise DataError(
            f"{what} has {len(tokens)} tokens, too few for a context of {context} (it takes "
            f"{context + 1}). Give more text{shorter}."
        )


def padded_rows(rows: Sequence[np.ndarray], value: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids side by side: ((B, T) int64 filled up with `value`, lengths (B,))."""
    lengths = np.array([len(row) for row in rows], np.int64)
    batch = np.full((len(rows), lengths.max(initial=0)), value, np.int64)
    for into, row in zip(batch, rows, strict=True):
        into[: len(row)] = row
    return batch, lengths


class RandomRows(Generic[Made]):
    """Endless batches of `batch_size` rows, each drawn uniformly from `count`.

    make: (batch_size,) numbers of rows -> a batch; it may draw from rng as well.
    rng: the only source of randomness; its state is the whole state.
    """

    def __init__(
        self, count: int, batch_size: int, rng: np.random.Generator,
        make: Callable[[np.ndarray], Made],
    ):
        self.count, self.batch_size, self.rng, self.make = count, batch_size, rng, make

    def __iter__(self) -> Iterator[Made]:
        return self

    def __next__(self) -> Made:
        return self.make(self.draw())

    def draw(self) -> np.ndarray:
        """The numbers of the next batch's rows, (batch_size,)."""
        return self.rng.integers(0, self.count, size=self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """The place in the random stream, as plain JSON values."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken.  Raises FormatError for another state."""
        check(state, {"rng": RANDOM_STATE})
        self.rng.bit_generator.state = state["rng"]


class BatchLoader(RandomRows[Batch]):
    """Endless random windows, uniform over all starts, as nanoGPT draws them.

    tokens: a Tokens or a 1-D integer array.  context: T.
    """

    def __init__(
        self, tokens: Tokens, batch_size: int, context: int, rng: np.random.Generator
    ):
        check_length(tokens, context)
        super().__init__(len(tokens) - context, batch_size, rng, self.windows)
        self.tokens, self.context = tokens, context

    def windows(self, starts: np.ndarray) -> Batch:
        """The windows that begin at these tokens, (B,)."""
        T = self.context
        windows = np.empty((len(starts), T + 1), np.int64)
        for row, start in zip(windows, starts.tolist(), strict=True):
            row[:] = self.tokens[start : start + T + 1]
        return Batch(windows[:, :-1].copy(), windows[:, 1:].copy())


def evaluation_batches(
    tokens: Tokens, batch_size: int, context: int, max_tokens: int | None = None
) -> Iterator[Batch]:
    """Windows side by side over the whole split: every token but the first is asked for once.

    max_tokens: look at about that many only, in windows spread evenly over the split.
    The last batches may have fewer rows, and the very last (unless
    max_tokens cut it off) one row of fewer than T columns, so weigh a batch's loss by y.size.
    """
    check_length(tokens, context)
    windows = (len(tokens) - 1) // context
    chosen = np.arange(windows)
    limited = max_tokens is not None and max_tokens < len(tokens) - 1
    if max_tokens is not None and limited:
        count = max(1, max_tokens // context)
        chosen = np.linspace(0, windows - 1, count).round().astype(np.int64)
    for at in range(0, len(chosen), batch_size):
        starts = (chosen[at : at + batch_size] * context).tolist()
        rows = np.stack([tokens[s : s + context + 1] for s in starts]).astype(np.int64)
        yield Batch(rows[:, :-1].copy(), rows[:, 1:].copy())
    rest = np.asarray(tokens[windows * context : len(tokens)], np.int64)
    if len(rest) > 1 and not limited:
        yield Batch(rest[None, :-1].copy(), rest[None, 1:].copy())
