"""Answers to held-out questions, counted: right or wrong, ended or cut off.

Read first: objective.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinygpt.inference.answers import Answer
from tinygpt.text.conversations import Conversation


class Score(NamedTuple):
    """How many of `asked` held-out questions were answered rightly, and ended by the model.

    wrong: some of the others, in words.
    """

    asked: int
    right: int
    ended: int
    wrong: list[str]

    def __str__(self) -> str:
        asked = max(1, self.asked)
        return (
            f"{self.right:,} of {self.asked:,} held-out questions answered rightly "
            f"({self.right / asked:.1%}), {self.ended / asked:.1%} of the answers ended"
        )


def scored(
    asked: Sequence[Conversation], found: Sequence[Answer],
    right: Callable[[Conversation, str], bool],
) -> Score:
    """Count the answers found to the last questions of conversations.

    right: whether a text answers a conversation.
    """
    pairs = list(zip(asked, found, strict=True))
    wrong = [
        f"{_short(one.messages[-2].content)} -> {_short(answer.text)}"
        f" (not {_short(one.messages[-1].content)})"
        for one, answer in pairs if not right(one, answer.text)
    ]
    ended = sum(answer.ended for answer in found)
    return Score(len(pairs), len(pairs) - len(wrong), ended, wrong)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"...{text[-57:]}")
