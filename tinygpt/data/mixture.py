"""Windows drawn from the parts of a mixture; what their shares are: ../text/mixture.py.

The tokens of a part stand in a row. A row of a batch first draws its part, then a window inside
it, uniform over all starts, as BatchLoader does over the whole. A part that was read as often as
it may be is left out from the next batch on. What was read and the place in the random stream are
the whole state: a run that goes on draws the same windows, to the bit.

Read next: batches.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.data.batches import BatchLoader, Tokens
from tinygpt.storage.reading import COUNT, RANDOM_STATE, FormatError, check
from tinygpt.text.corpus import DataError


class Part(NamedTuple):
    """Tokens in a row: `size` of them.  epochs: how often they may be read, None: without end."""

    name: str
    size: int
    weight: float = 1.0
    epochs: float | None = None


def shares(parts: Sequence[Part], temperature: float, open_: Sequence[bool]) -> np.ndarray:
    """(parts,) float64, the probability of each: weight * size^(1 / temperature), 0 if not open.

    Raises DataError where none is.
    """
    sizes = np.array([part.size for part in parts], np.float64)
    worth = np.array([part.weight for part in parts]) * (sizes / sizes.max()) ** (1 / temperature)
    worth *= np.array(open_)
    if not worth.sum():
        raise DataError(
            "every source of data.sources was read as often as its epochs allow. Raise them, take "
            "them off one source, or set training.steps lower."
        )
    made: np.ndarray = worth / worth.sum()
    return made


class MixedLoader(BatchLoader):
    """Endless batches of windows from the parts of a text.

    tokens: those of all parts, one after the other.
    Raises DataError for a part without a window, and when all were read.
    """

    def __init__(
        self, tokens: Tokens, parts: Sequence[Part], temperature: float, batch_size: int,
        context: int, rng: np.random.Generator,
    ):
        super().__init__(tokens, batch_size, context, rng)
        for part in parts:
            if part.size <= context:
                raise DataError(
                    f"{part.name} has {part.size} tokens to learn from, too few for a context of "
                    f"{context}. Give more of it, or take it out of data.sources."
                )
        self.parts, self.temperature = list(parts), temperature
        self._starts = np.cumsum([0] + [part.size for part in parts])[:-1]
        self._room = np.array([part.size - context for part in parts])
        self.read = np.zeros(len(parts), np.int64)  # tokens of each so far

    def draw(self) -> np.ndarray:
        open_ = [
            part.epochs is None or read < part.epochs * part.size
            for part, read in zip(self.parts, self.read.tolist(), strict=True)
        ]
        chance = shares(self.parts, self.temperature, open_)
        which = self.rng.choice(len(chance), self.batch_size, p=chance)
        self.read += np.bincount(which, minlength=len(chance)) * self.context
        starts: np.ndarray = self._starts[which] + self.rng.integers(0, self._room[which])
        return starts

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "read": self.read.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check(state, {"rng": RANDOM_STATE, "read": [COUNT]})
        if len(state["read"]) != len(self.parts):
            raise FormatError(f"is of {len(state['read'])} sources, not {len(self.parts)}")
        super().load_state_dict({"rng": state["rng"]})
        self.read[:] = state["read"]
