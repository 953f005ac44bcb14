"""What a fine-tuning learns from: loaded, dealt out, kept in the run's folder.

Read next: objective.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygpt.finetuning.config import ALONE, FinetuningConfig
from tinygpt.finetuning.packing import size
from tinygpt.finetuning.rendering import Sample
from tinygpt.storage.reading import TEXT, one_of, parse_json
from tinygpt.text.conversations import Conversation, Message, read_conversations
from tinygpt.text.files import DataError
from tinygpt.text.tasks import TASKS

KEPT = "conversations.jsonl"  # in the run's folder: what it learns from, held-out ones last
LINE = {
    "messages": [{"role": TEXT, "content": TEXT, "learned": one_of(True, False)}], "where": TEXT,
    "held_out": one_of(True, False),
}
USUAL = 512  # tokens in a row, where the data needs no more


class Conversations(NamedTuple):
    """What is learned from, and what is held out."""

    train: list[Conversation]
    held_out: list[Conversation]

    def to_text(self) -> str:
        """As a run keeps them: a JSON object a line."""
        return "".join(
            json.dumps({
                "messages": [message._asdict() for message in one.messages], "where": one.where,
                "held_out": held_out,
            }, ensure_ascii=False) + "\n"
            for held_out, part in ((False, self.train), (True, self.held_out)) for one in part
        )

    @classmethod
    def from_text(cls, text: str) -> Conversations:
        """What `to_text` wrote.  Raises FormatError."""
        parts: tuple[list[Conversation], list[Conversation]] = [], []
        for line in filter(None, text.split("\n")):
            values = parse_json(line, LINE)
            messages = tuple(Message(**message) for message in values["messages"])
            parts[values["held_out"]].append(Conversation(messages, values["where"]))
        return cls(*parts)


def load(config: FinetuningConfig) -> Conversations:
    """What the configuration names, dealt out at random.  Raises DataError."""
    source, seed = config.data.source, config.training.seed
    if not source:
        raise DataError(
            "there are no conversations. Name a file with --data or data.source, or one of: "
            f"{', '.join(TASKS)}."
        )
    if source in TASKS:
        found = TASKS[source].make(config.data.count, seed)
    else:
        found = read_conversations(source)
    count = round(config.data.held_out * len(found))
    if len(found) - count < 1:
        raise DataError(
            f"{len(found)} conversations, {count} of them held out, leave none to learn from. Give "
            "more, or set data.held_out=0."
        )
    order = np.random.default_rng(seed).permutation(len(found)).tolist()
    shuffled = [found[i] for i in order]
    return Conversations(shuffled[count:], shuffled[:count])


def with_length(
    config: FinetuningConfig, data: Conversations, samples: Sequence[Sample]
) -> FinetuningConfig:
    """With data.length filled in.  Raises DataError for a conversation that is longer than it may
    be, naming the first."""
    context = config.model.context
    if config.method.name in ALONE:
        context -= config.method.tokens
    longest = max(map(size, samples))
    length = config.data.length or min(context, max(USUAL, longest))
    if length > context:
        raise DataError(
            f"data.length = {length} is more than the model's context of {context} tokens. Set "
            f"data.length={context}."
        )
    long = [i for i, sample in enumerate(samples) if size(sample) > length]
    if long:
        places = [*data.train, *data.held_out]
        first = min(long, key=lambda i: _number(places[i].where))
        what = "the model's context" if length == context else "data.length"
        more = f" ({len(long) - 1} more are too long)" if len(long) > 1 else ""
        raise DataError(
            f"{places[first].where or 'a conversation'} is {size(samples[first]) + 1} tokens long, "
            f"and {what} {length}{more}. Shorten it, or leave it out."
        )
    return config.replace("data", length=length)


def _number(where: str) -> int:
    digits = "".join(c for c in where.split(" of ")[0] if c.isdigit())
    return int(digits or 0)
