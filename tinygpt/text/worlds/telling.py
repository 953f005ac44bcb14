"""Text of a world without end, and questions of which the text does not hold the answer's words.

Three kinds of paragraphs come in random order:

    a story                its world's events, then questions about how things stand, answered
    a lasting fact         in one of its sentences; each is told as often as any other
    a question about one   answered; only of every third, so that the form is learned, and what is
                           exported asks for what was told in statements alone

A story is told or kept for the questions by a hash of its words, so that none is both.

Read next: ../../cli/world.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from tinygpt.errors import UserError
from tinygpt.text.stories.teller import Dice
from tinygpt.text.worlds.file import Line, World
from tinygpt.text.worlds.state import Asked, Facts, Filled, Scene

STORIES, FACTS = 0.7, 0.2  # of all paragraphs; the rest are questions
IN_TEXT = 3  # every third question about a fact is asked there
KEPT = 5  # one story of so many is told nowhere
QUESTIONS = 2  # at the end of a story, at most
PATIENCE = 500  # stories in a row that come to nothing

T = TypeVar("T")


class Tale(NamedTuple):
    """A story without its questions, and what is true at its end."""

    text: str
    scene: Scene


class Telling:
    """What a world says with a seed: always the same.

    statements: each lasting fact in all its sentences.
    """

    def __init__(self, world: World, seed: int = 0):
        self.world, self._seed = world, seed
        dice = self._dice(0)
        self.lasting = _dealt(world, dice)
        everything = Scene(world, {}, self.lasting)
        self.statements = [
            [everything.said(line, filled) for line in rule.say]
            for rule in world.lasting for filled in everything.filled(rule.variables)
            if everything.holds(rule.then[0], filled)
        ]
        questions = [
            asked for question in world.questions if question.lasting
            for asked in everything.asked(question, dice)
        ]
        mixed = dice.several(questions, len(questions))
        self._in_text, self._facts = mixed[::IN_TEXT], [
            one for i, one in enumerate(mixed) if i % IN_TEXT
        ]

    def text(self, size: int) -> Iterator[str]:
        """Paragraphs of at least `size` bytes of UTF-8, and until each lasting fact was told.

        Raises ValueError for less than 1, UserError for a world in which nothing can happen.
        """
        if size < 1:
            raise ValueError(f"text: size must be at least 1 byte, not {size}")
        dice = self._dice(1)
        tales = self._tales(dice, kept=False)
        facts, questions = _deck(self.statements, dice), _deck(self._in_text, dice)
        untold = len(self.statements)
        while size > 0 or untold > 0:
            kind = dice.random()
            if kind < STORIES or not self.statements:
                paragraph = self._with_questions(next(tales), dice)
            elif kind < STORIES + FACTS or not self._in_text:
                paragraph = dice.pick(next(facts))
                untold -= 1
            else:
                paragraph = self._answered(next(questions))
            size -= len(paragraph.encode()) + 2
            yield paragraph

    def facts(self) -> list[Asked]:
        """Questions about lasting facts that the text tells and does not ask."""
        return self._facts

    def reading(self, count: int) -> list[Asked]:
        """`count` stories that no text of this world has, each up to a question at its end.

        Raises UserError if the world has fewer.
        """
        if not any(not question.lasting for question in self.world.questions):
            return []
        dice = self._dice(2)
        tales, found = self._tales(dice, kept=True), dict[str, Asked]()
        misses = 0
        while len(found) < count:
            tale = next(tales)
            asked = self._asked(tale, dice)
            misses += 1
            if asked and tale.text not in found:
                misses, one = 0, dice.pick(asked)
                found[tale.text] = one._replace(ask=f"{tale.text}\n{one.ask}")
            if misses > PATIENCE:
                raise UserError(
                    f"this world has only {len(found)} such stories with a question, and {count} "
                    "were asked for. Ask for fewer, or give it more words and events."
                )
        return list(found.values())

    def _dice(self, use: int) -> Dice:
        return Dice(np.random.default_rng([self._seed, use]))

    def _tales(self, dice: Dice, kept: bool) -> Iterator[Tale]:
        """Stories without end: those that are kept for questions, or the others."""
        misses = 0
        while True:
            tale = self._tale(dice)
            if tale is not None and is_kept(tale.text) == kept:
                misses = 0
                yield tale
            misses += 1
            if misses > PATIENCE:
                raise UserError(
                    f"of {PATIENCE} stories none came to {self.world.happens[0]} events that could "
                    "be told. Let more events begin without `if`, or lower story.events."
                )

    def _tale(self, dice: Dice) -> Tale | None:
        """A story, None if nothing could happen before enough had."""
        world = self.world
        cast = {
            kind: dice.several(range(len(world.words[kind])), count)
            for kind, count in world.cast.items()
        }
        scene = Scene(world, cast, self.lasting)
        told: list[str] = []
        if world.begin:
            told.append(self._any(world.begin, scene, dice))
        least, most = world.happens
        for number in range(least + int(dice.random() * (most - least + 1))):
            ways: list[Filled] = []
            for rule in dice.several(world.events, len(world.events)):
                ways = [one for one in scene.filled(rule.variables) if scene.allows(rule, one)]
                if ways:
                    break
            if not ways:
                if number < least:
                    return None
                break
            filled = dice.pick(ways)
            told.append(scene.said(dice.pick(rule.say), filled))
            scene.happen(rule, filled)
        if world.end:
            told.append(self._any(world.end, scene, dice))
        return Tale(world.between.join(told), scene)

    @staticmethod
    def _any(lines: Sequence[Line], scene: Scene, dice: Dice) -> str:
        line = dice.pick(lines)
        return scene.said(line, dice.pick(list(scene.filled(line.variables))))

    def _asked(self, tale: Tale, dice: Dice) -> list[Asked]:
        return [
            asked for question in self.world.questions if not question.lasting
            for asked in tale.scene.asked(question, dice)
        ]

    def _with_questions(self, tale: Tale, dice: Dice) -> str:
        asked = self._asked(tale, dice)
        chosen = dice.several(asked, min(len(asked), QUESTIONS))
        return "\n".join([tale.text, *(self._answered(one) for one in chosen)])

    def _answered(self, asked: Asked) -> str:
        return f"{asked.ask}{self.world.between}{asked.answer}"


def _dealt(world: World, dice: Dice) -> Facts:
    """Lasting facts: each subject gets an object, all objects as often as can be."""
    facts: Facts = {}
    for rule in world.lasting:
        subject, relation, last = rule.then[0]
        assert last is not None  # file.py lets no other be
        objects = _deck([(last.kind, i) for i in range(len(world.words[last.kind]))], dice)
        for i in range(len(world.words[subject.kind])):
            facts[(subject.kind, i), relation] = next(objects)
    return facts


def _deck(cards: Sequence[T], dice: Dice) -> Iterator[T]:
    """All cards in random order, then all again, without end; none of none."""
    while cards:
        yield from dice.several(cards, len(cards))


def is_kept(story: str) -> bool:
    """Whether a story is for questions alone."""
    return hashlib.blake2b(story.encode()).digest()[0] % KEPT == 0
