"""Tasks with known answers, to be learned from conversations: made by the project, seeded.

    task = TASKS["addition"]
    task.make(11_000, seed=0)                         conversations, all different
    task.right(conversation, "7401 -> 1047")          whether that answers its question

Read next: addition.py, world.py, couplets.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tinygpt.text.conversations import Conversation
from tinygpt.text.tasks import addition, couplets, world


class Task(NamedTuple):
    """make: (count, seed) -> conversations.  right: (conversation, answer) -> is it one."""

    make: Callable[[int, int], list[Conversation]]
    right: Callable[[Conversation, str], bool]


def exact(conversation: Conversation, answer: str) -> bool:
    """Whether an answer is the conversation's own."""
    return answer == conversation.messages[-1].content


TASKS = {
    "addition": Task(addition.make, exact),
    "world": Task(world.make, exact),
    "couplets": Task(couplets.make, couplets.right),
}
