"""What the stories ask at their end, of stories that nobody has read: who has a thing, where it is.

    ... Otto gave the kite to Mia. They laughed about it for a long time.
    Who had the kite in the end?                                    Mia had it.

The stories' generator asks them of its own world, so that each answer is true by construction; a
model that learned the stories has learned how such questions are answered, and gets one right only
if it has kept track. Ten templates: who had it now, and in the end; did somebody else have it;
where one thing was, and where several were, each with a person, at a spot, or in a box; and
whether a box was open.

Read first: ../stories/scenes.py (closing_question). Read next: ../../inference/right_answers.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinygpt.text.stories import Story, one_story
from tinygpt.text.stories.teller import Dice

UNREAD = zlib.crc32(b"questions at the end of stories")  # no corpus is made with this seed


class Question(NamedTuple):
    """A story up to a question at its end, and the answer.

    told: ends with the question mark.  answer: begins with a space.
    choices: how many answers its world allows; whoever guesses is right once in so many times.
    """

    told: str
    answer: str
    choices: int


def questions(count: int, seed: int = UNREAD) -> list[Question]:
    """`count` questions; the same seed gives the same.

    Raises ValueError for less than one.
    """
    if count < 1:
        raise ValueError(f"questions: count must be at least 1, not {count}")
    asked = _asked(Dice(np.random.default_rng(seed)))
    return [next(asked) for _ in range(count)]


def _asked(dice: Dice) -> Iterator[Question]:
    while True:
        story = one_story(dice)
        if story.text.splitlines()[-1].startswith(("Who ", "Did ", "Where ", "Was ")):
            told, mark, answer = story.text.rpartition("?")
            yield Question(told + mark, answer, _choices(story))


def _choices(story: Story) -> int:
    """How many things the answer could have said in this story's world."""
    world = story.world
    _, fact, noun, *_ = world.log[-1]
    if fact in ("open", "closed"):
        return 2
    question, people = story.text.splitlines()[-1], len(world.people)
    if question.startswith("Who "):
        return people
    if question.startswith("Did "):  # everybody but the one that it names
        return people - 1
    boxes = sum(thing.is_open is not None and thing.noun != noun for thing in world.things)
    spots = sum(len(preps) for place in world.places for _, preps in place.fixtures)
    return people + boxes + spots
