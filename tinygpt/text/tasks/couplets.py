"""A style that a rule can verify: every answer is a rhymed couplet about what was asked.

    Tell me about the fox.        The fox went out to see the moon,
                                  and there it found a silver spoon.

Which couplet is left to the model. `right` asks that there are two lines, that the first names the
thing, and that both end in different words of one family of rhymes.
"""

from __future__ import annotations

import re

import numpy as np

from tinygpt.text.conversations import Conversation, asked
from tinygpt.text.stories import words
from tinygpt.text.stories.teller import Dice

RHYMES = tuple(tuple(family.split()) for family in (
    "moon spoon noon dune tune", "tree sea bee key knee", "light night kite knight sight",
    "hill mill sill quill", "star jar car bar", "house mouse blouse", "rain train lane chain",
    "sky pie fly", "bell well shell", "door floor shore", "ring king string spring wing",
))
FIRST = (
    "The {noun} went out to see the {a},", "The {noun} sat down beside the {a},",
    "The {noun} was looking for the {a},", "Who saw the {noun} behind the {a}?",
)
SECOND = (
    "and there it found a silver {b}.", "and dreamed about a little {b}.",
    "and sang a song about the {b}.", "and took a walk to find the {b}.",
)
QUESTIONS = ("Tell me about the {noun}.", "What did the {noun} do?", "Do you know the {noun}?")


def make(count: int, seed: int) -> list[Conversation]:
    """`count` questions and couplets, no pair of them twice."""
    dice = Dice(np.random.default_rng(seed))
    nouns = tuple(sorted({*words.ANIMALS, *words.SINGULAR["toy"], *words.SINGULAR["treasure"]}))
    found: dict[tuple[str, str], Conversation] = {}
    while len(found) < count:
        noun = dice.pick(nouns)
        a, b = dice.several(dice.pick(RHYMES), 2)
        first, second = dice.pick(FIRST).format(noun=noun, a=a), dice.pick(SECOND).format(b=b)
        question = dice.pick(QUESTIONS).format(noun=noun)
        found.setdefault((question, first + second), asked(question, f"{first}\n{second}"))
    return list(found.values())


def right(conversation: Conversation, answer: str) -> bool:
    """Whether an answer is a rhymed couplet about the noun of its question."""
    lines = answer.split("\n")
    if len(lines) != 2 or not all(lines):
        return False
    noun = re.findall(r"\bthe (\w+)", conversation.messages[0].content)[0]
    a, b = (line.split()[-1].strip(".,?!").lower() for line in lines)
    rhymes = a != b and any(a in family and b in family for family in RHYMES)
    return rhymes and noun in lines[0].split()
