"""What a fine-tuning learns from: loaded, dealt out, kept in the run's folder.

Read next: objective.py.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

from tinygpt.finetuning.config import FinetuningConfig
from tinygpt.storage.reading import TEXT, one_of, parse_json
from tinygpt.text.conversations import Conversation, Message, read_conversations
from tinygpt.text.files import DataError
from tinygpt.text.tasks import TASKS

KEPT = "conversations.jsonl"  # in the run's folder: what it learns from, held-out ones last
LINE = {
    "messages": [{"role": TEXT, "content": TEXT, "learned": one_of(True, False)}], "where": TEXT,
    "held_out": one_of(True, False),
}


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
