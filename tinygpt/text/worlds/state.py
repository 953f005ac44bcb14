"""What is true in one story: whose words it has, which facts hold, what may happen or be asked.

Facts are found by trying: a story has a handful of words of each kind, so the ways in which they
fill a sentence are few, and trying all of them needs no cleverness that could be wrong.

Read next: telling.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tinygpt.text.stories.teller import Dice
from tinygpt.text.worlds.file import Fact, Line, Question, Rule, Variable, World

Name = tuple[str, int]  # a word: its kind, its number there
Filled = Mapping[Variable, Name]
Facts = dict[tuple[Name, str], Name]  # (subject, relation) -> object

CHOICES = 4  # of a question at most: whoever guesses is right once in four


class Asked(NamedTuple):
    """A question with its right answer and wrong ones, as they are written."""

    ask: str
    answer: str
    others: tuple[str, ...]


class Scene:
    """The words of a story and what is true of them.

    cast: kind -> the numbers of its words; of a kind that is not named, all.
    """

    def __init__(self, world: World, cast: Mapping[str, Sequence[int]], facts: Facts):
        self.world, self.cast, self.facts = world, cast, dict(facts)

    def filled(
        self, variables: Sequence[Variable], known: Filled | None = None
    ) -> Iterator[Filled]:
        """Every way to fill variables with words of this story, two of a kind with two words."""
        known = known or {}
        open_ = [one for one in variables if one not in known]
        pools = [
            [(one.kind, number) for number in
             self.cast.get(one.kind, range(len(self.world.words[one.kind])))]
            for one in open_
        ]
        for names in itertools.product(*pools):
            made = {**known, **dict(zip(open_, names, strict=True))}
            if len(set(made.values())) == len(made):
                yield made

    def holds(self, fact: Fact, filled: Filled) -> bool:
        there = self.facts.get((filled[fact.subject], fact.relation))
        return there == (None if fact.object is None else filled[fact.object])

    def allows(self, rule: Rule, filled: Filled) -> bool:
        return all(self.holds(fact, filled) for fact in rule.needs) and not any(
            self.holds(fact, filled) for fact in rule.unless
        )

    def happen(self, rule: Rule, filled: Filled) -> None:
        """Let what follows from a rule be true."""
        for fact in rule.then:
            key = (filled[fact.subject], fact.relation)
            if fact.object is None:
                self.facts.pop(key, None)
            else:
                self.facts[key] = filled[fact.object]

    def said(self, line: Line, filled: Filled) -> str:
        """A sentence with its words; its first letter is a capital, where the script has them."""
        text = "".join(
            part if isinstance(part, str)
            else self.world.words[part[0].kind][filled[part[0]][1]][part[1]]
            for part in line.parts
        )
        return text[0].title() + text[1:]  # title, not upper: Georgian has capitals for titles only

    def asked(self, question: Question, dice: Dice) -> Iterator[Asked]:
        """The question of each word it can be about, if one answer is true and another false."""
        for about in self.filled(question.ask.variables):
            answers: dict[str, bool] = {}
            for answer in question.answers:
                for filled in self.filled(answer.variables, about):
                    text = self.said(answer.say[0], filled)
                    answers[text] = answers.get(text, False) or self.allows(answer, filled)
            right = [text for text, true in answers.items() if true]
            wrong = [text for text, true in answers.items() if not true]
            if len(right) == 1 and wrong:
                others = dice.several(wrong, min(len(wrong), CHOICES - 1))
                yield Asked(self.said(question.ask, about), right[0], tuple(others))
