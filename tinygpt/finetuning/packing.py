"""Samples of any length in rows of one length, none of them seeing another.

    row       A A A A A A B B B C C C C C C
    starts    0 0 0 0 0 0 6 6 6 9 9 9 9 9 9

A padded row is mostly padding where answers are short. Packed, a row holds as many samples as it
has room for, each token sees its own sample alone and has the position that it would have in a row
of its own: so the loss is the same, and only the time is not.

An epoch's samples are shuffled, packed (each into the fullest row that has room, of the last
OPEN), and the rows shuffled again. Whoever knows the random state that an epoch began with knows
all its rows, so the place in the data is that and a number.

Read next: objective.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.finetuning.rendering import Sample
from tinygpt.storage.reading import COUNT, RANDOM_STATE, FormatError, check

IGNORE = -1  # a target that nobody asks for
OPEN = 64  # rows that a sample may go into


class AnswerBatch(NamedTuple):
    """ids, targets, starts: (B, T) int64: targets[b, t] is what follows ids[b, t], IGNORE where it
    is not learned; starts[b, t] is where in its row the sample of ids[b, t] begins.
    tokens: how many are no padding."""

    ids: np.ndarray
    targets: np.ndarray
    starts: np.ndarray
    tokens: int

    @property
    def weight(self) -> int:
        """Tokens that are learned."""
        return int((self.targets != IGNORE).sum())


def batch_of(rows: Sequence[Sequence[Sample]]) -> AnswerBatch:
    """A row for each list of samples, all as long as the longest.

    A sample of T tokens takes T - 1 places: nothing follows its last.
    """
    width = max(sum(map(size, row)) for row in rows)
    ids, starts = np.zeros((2, len(rows), width), np.int64)
    targets = np.full((len(rows), width), IGNORE)
    used = 0
    for b, row in enumerate(rows):
        at = 0
        for sample in row:
            end = at + size(sample)
            ids[b, at:end] = sample.ids[:-1]
            targets[b, at:end] = masked_targets(sample)
            at = end
        starts[b] = starts_of([size(sample) for sample in row], width)
        used += at
    return AnswerBatch(ids, targets, starts, used)


def masked_targets(sample: Sample) -> np.ndarray:
    """What is to be said after each token but the last: (T - 1,) int64, IGNORE where that is not
    learned. The mask is of the tokens that are said, so it moves with them."""
    return np.where(sample.learned[1:], sample.ids[1:], IGNORE)


def starts_of(sizes: Sequence[int], width: int) -> np.ndarray:
    """Where in its row the sample at each place begins, (width,) int64: what attention may see.

    sizes: of the samples in a row, in their order.  Padding behind them sees itself.

    >>> starts_of([3, 2], 7).tolist()
    [0, 0, 0, 3, 3, 5, 6]
    """
    ends = np.cumsum(sizes)
    return np.concatenate([np.repeat(ends - sizes, sizes), np.arange(ends[-1], width)])


def size(sample: Sample) -> int:
    """Places that a sample takes in a row."""
    return len(sample.ids) - 1


def packed(sizes: Sequence[int], length: int) -> list[list[int]]:
    """Numbers of samples by row, so that the sizes in a row sum to `length` at most.

    sizes: in the order in which they are dealt out, none above `length`.
    """
    rows: list[list[int]] = []
    room: dict[int, int] = {}  # open row -> places left
    for number, needed in enumerate(sizes):
        fitting = [row for row, left in room.items() if left >= needed]
        if fitting:
            row = min(fitting, key=lambda row: room[row])
            rows[row].append(number)
        else:
            row = len(rows)
            rows.append([number])
            room[row] = length
        room[row] -= needed
        if room[row] == 0:
            del room[row]
        if len(room) > OPEN:
            del room[min(room, key=lambda row: room[row])]
    return rows


class PackedRows:
    """Batches without end, every sample once in an epoch.

    length: of a row; None: a row for each sample, as long as the batch's longest.
    rng: the only source of randomness.
    """

    def __init__(
        self, samples: Sequence[Sample], batch_size: int, length: int | None,
        rng: np.random.Generator,
    ):
        self._samples, self._batch_size, self._length, self._rng = samples, batch_size, length, rng
        self._begin()

    def _begin(self) -> None:
        """Deal out an epoch."""
        self._begun, self._at = self._rng.bit_generator.state, 0
        order = self._rng.permutation(len(self._samples))
        rows = in_rows([self._samples[i] for i in order], self._length)
        self._rows = [[int(order[i]) for i in rows[r]] for r in self._rng.permutation(len(rows))]

    def __iter__(self) -> Iterator[AnswerBatch]:
        return self

    def __next__(self) -> AnswerBatch:
        chosen: list[list[int]] = []
        while len(chosen) < self._batch_size:  # into the next epoch where this one ends
            if self._at == len(self._rows):
                self._begin()
            chosen.append(self._rows[self._at])
            self._at += 1
        return batch_of([[self._samples[i] for i in row] for row in chosen])

    def state_dict(self) -> dict[str, Any]:
        """The random state that this epoch began with, and the rows of it that are used up."""
        return {"epoch": self._begun, "row": self._at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken.  Raises FormatError for another state."""
        check(state, {"epoch": RANDOM_STATE, "row": COUNT})
        self._rng.bit_generator.state = state["epoch"]
        self._begin()
        if state["row"] > len(self._rows):
            raise FormatError(f"is at row {state['row']} of {len(self._rows)}")
        self._at = state["row"]


def in_rows(samples: Sequence[Sample], length: int | None) -> list[list[int]]:
    """Numbers of samples by row: packed, or with length None one in each."""
    if length is None:
        return [[number] for number in range(len(samples))]
    return packed([size(sample) for sample in samples], length)
