"""A group of several processes (../training/group.py): what is alike however they divide the work.

Read next: data_parallel.py, zero.py, local_steps.py, then start.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from minigrad import optim
from tinygpt.distributed.communicator import Communicator
from tinygpt.training.group import Group
from tinygpt.training.pairs import halves
from tinygpt.training.step import Gathered


@dataclass(frozen=True)
class Share:
    """The batches of a step that are one rank's.

    weight: theirs, of `whole`, that of all.  tokens: of all.
    """

    batches: Sequence[Any]
    weight: float
    whole: float
    tokens: int


class Ranks(Group):
    """Several processes that make each step together.

    parts: how many of a step's batches each rank takes, None for as even as they go.
    """

    def __init__(self, communicator: Communicator, parts: Sequence[int] | None = None):
        self.communicator, self._parts = communicator, parts
        self.rank, self.size = communicator.rank, communicator.size

    def share(self, batches: Sequence[Any]) -> Share:
        """This rank's part of a step's batches: they are dealt out in order, without gaps."""
        parts = self._parts or even_parts(len(batches), self.size)
        ends = [0, *accumulate(parts)]
        own = batches[ends[self.rank] : ends[self.rank + 1]]
        return Share(
            own, sum(b.weight for b in own), sum(b.weight for b in batches),
            sum(b.tokens for b in batches),
        )

    def together(self, own: Gathered, share: Share, **more: Any) -> tuple[Gathered, list[Any]]:
        """(what all have gathered, what each says besides).  All ranks compute the same."""
        said = [
            json.loads(text)
            for text in self.communicator.texts(json.dumps(
                {"loss": own.loss, "logged": own.logged, "weight": share.weight, **more}
            ))
        ]

        def mean(values: Sequence[float]) -> float:
            return sum(v * one["weight"] for v, one in zip(values, said, strict=True)) / share.whole

        logged = {name: mean([one["logged"][name] for one in said]) for name in said[0]["logged"]}
        return Gathered(mean([one["loss"] for one in said]), logged, share.tokens), said

    def agree(self, text: str | None) -> str | None:
        said = [json.loads(one) for one in self.communicator.texts(json.dumps(text))]
        return next((one for one in said if one is not None), None)

    def told(self, text: str | None) -> str | None:
        return json.loads(self.communicator.texts(json.dumps(text) if self.rank == 0 else "")[0])

    def spread(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in sorted(arrays):
            self.communicator.broadcast(arrays[name])

    def optimizer_state(self, optimizer: optim.Optimizer) -> Mapping[str, np.ndarray] | None:
        return optimizer.state_dict() if self.rank == 0 else None

    def load_optimizer(
        self, optimizer: optim.Optimizer, tensors: Mapping[str, np.ndarray] | None
    ) -> None:
        if self.rank == 0:
            super().load_optimizer(optimizer, tensors)
        optimizer.steps = int(self.told(str(optimizer.steps)) or 0)
        self.spread({k: a for k, a in optimizer.state_dict().items() if k != "steps"})

    def own_stream(self, rng: np.random.Generator) -> None:
        for _ in range(self.rank):
            rng.bit_generator.state = rng.bit_generator.jumped().state  # type: ignore[attr-defined]


def even_parts(count: int, ranks: int) -> list[int]:
    """How many of `count` batches each rank takes: as even as they go, and, for 2, 4, 8 ... ranks,
    those whose gradients are added up first (training/pairs.py)."""
    if ranks == 1:
        return [count]
    left, right = halves(ranks)
    first = -(-count * left // ranks)
    return even_parts(first, left) + even_parts(count - first, right)
