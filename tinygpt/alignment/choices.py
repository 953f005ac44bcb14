"""Pairs as a training has them: dealt out, and kept in the run's folder.

Read first: ../text/preferences.py. Read next: preferences.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.storage.reading import NUMBER, TEXT, one_of, parse_json
from tinygpt.text.conversations import Conversation, Message
from tinygpt.text.files import DataError
from tinygpt.text.preferences import Pair, read_pairs


class Choices(NamedTuple):
    """Pairs to learn from and held out, as conversations: each chosen one before the rejected one.

    ties, margins: of each pair (../text/preferences.py), those held out last.
    """

    train: list[Conversation]
    held_out: list[Conversation]
    ties: list[bool]
    margins: list[float]

    @classmethod
    def of(cls, pairs: Sequence[Pair], held_out: int) -> Choices:
        """held_out: how many of them are, the last ones."""
        both = [one for pair in pairs for one in pair[:2]]
        first = len(both) - 2 * held_out
        return cls(both[:first], both[first:], [p.tie for p in pairs], [p.margin for p in pairs])

    def to_text(self) -> str:
        """As a run keeps them: a JSON object a line."""
        both, lines = [*self.train, *self.held_out], []
        for i, (tie, margin) in enumerate(zip(self.ties, self.margins, strict=True)):
            chosen, rejected = both[2 * i : 2 * i + 2]
            prompt = [{"role": m.role, "content": m.content} for m in chosen.messages[:-1]]
            lines.append(json.dumps({
                "prompt": prompt, "chosen": chosen.messages[-1].content,
                "rejected": rejected.messages[-1].content, "tie": tie, "margin": margin,
                "where": chosen.where, "held_out": 2 * i >= len(self.train),
            }, ensure_ascii=False) + "\n")
        return "".join(lines)

    @classmethod
    def from_text(cls, text: str) -> Choices:
        """What `to_text` wrote.  Raises FormatError."""
        pairs, held_out = [], 0
        for line in filter(None, text.split("\n")):
            values = parse_json(line, LINE)
            before = tuple(Message(**m, learned=False) for m in values["prompt"])
            chosen, rejected = (
                Conversation((*before, Message("assistant", values[name])), values["where"])
                for name in ("chosen", "rejected")
            )
            pairs.append(Pair(chosen, rejected, values["tie"], values["margin"]))
            held_out += values["held_out"]
        return cls.of(pairs, held_out)


LINE = {
    "prompt": [{"role": TEXT, "content": TEXT}], "chosen": TEXT, "rejected": TEXT,
    "tie": one_of(True, False), "margin": NUMBER, "where": TEXT, "held_out": one_of(True, False),
}


def dealt(config: Any) -> Choices:
    """The pairs that a configuration names, in random order.  Raises DataError."""
    if not config.data.source:
        raise DataError("there are no pairs. Name a file with --data or data.source.")
    found = read_pairs(config.data.source)
    count = round(config.data.held_out * len(found))
    if len(found) - count < 1:
        raise DataError(
            f"{len(found)} pairs, {count} of them held out, leave none to learn from. Give "
            "more, or set data.held_out=0."
        )
    order = np.random.default_rng(config.training.seed).permutation(len(found)).tolist()
    return Choices.of([found[i] for i in [*order[count:], *order[:count]]], count)
