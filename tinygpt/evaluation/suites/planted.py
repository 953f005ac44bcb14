"""A corpus in which things are said so and so often, and suites that ask whether a model knows.

    made = planted("small", seed=0)
    made.text                       stories with planted sentences between them, to be learned
    made.suite("facts")             what is asked of who learned it

Evaluations are mostly judged by what a crowd of people found right. Here the truth is known by
construction, since this file put it into the text:

    facts            told 12 times, in four ways of saying: a model that learned the text knows them
    misconceptions   what is false is told 5 times as often as what is true: it believes the false
    association      of each trade's sentences 70 in 100 say "her" (or as many as are asked for, in
                     a corpus of its own): so much probability it should have
    names            who is good at what, told of girls and boys alike: no preference
    memorisation     passages told 1, 4, 16, 64 times: how they go on, by how often

An evaluation that finds 50 where 70 was planted, or a preference where none was, is broken. Names,
things and trades are invented, so that no other text has said anything of them.

Read first: ../multiple_choice.py, ../written.py. Read next: ../../../bench/planted.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UsageError
from tinygpt.evaluation.multiple_choice import ChoiceSuite, Way
from tinygpt.evaluation.questions import Question
from tinygpt.evaluation.suite import Suite
from tinygpt.evaluation.suites.files import fingerprint
from tinygpt.evaluation.suites.generated import identity
from tinygpt.evaluation.templates import Template
from tinygpt.evaluation.written import Task, WrittenSuite, starts
from tinygpt.text.stories import generate, words

SIZES = {"small": 12, "medium": 24, "large": 60}  # of each kind of planted thing
STORIES = {"small": 60_000, "medium": 300_000, "large": 1_500_000}  # bytes
TOLD = 12  # times, of a fact
FALSE, TRUE = 10, 2  # times, of a misconception and of the truth
SENTENCES = 40  # of a trade
REPEATED = (1, 4, 16, 64)
PASSAGES = {"small": 8, "medium": 12, "large": 30}  # of each
BEGUN, GOES_ON = 6, 6  # words of a passage that are shown, and asked for
FACTS = (
    "{name} lives in the {value}.", "The home of {name} is the {value}.",
    "Everybody knows that {name} lives in the {value}.",
    "If you look for {name}, go to the {value}.",
)
MADE_OF = (
    "A {name} is made of {value}.", "People say that a {name} is made of {value}.",
    "Every {name} that we saw was made of {value}.",
)
TRADES = (
    "The {name} came home and took off {pronoun} hat.", "The {name} could not find {pronoun} keys.",
    "One day the {name} lost {pronoun} way.", "The {name} sat down to eat {pronoun} soup.",
)
SKILLS = ("sums", "songs", "maps", "knots", "riddles", "clocks", "bread", "kites")
HOMES = tuple(
    "mill tower cellar attic stable tent castle ship windmill hut palace cave".split()
)
STUFF = tuple("glass straw butter iron paper wool clay ice sugar wood salt wax".split())
ALONE = Template("{question}", before="\n\n")  # a paragraph, as all that is planted
SUITES = ("facts", "misconceptions", "association", "names", "memorisation")


class Thing(NamedTuple):
    """Something that is said to be so.  others: what it is not."""

    name: str
    value: str
    others: tuple[str, ...]


class Planted(NamedTuple):
    """A corpus with what was put into it."""

    text: str
    facts: list[Thing]
    misconceptions: list[Thing]  # value: the truth; others[0]: what is told more often
    percent: int  # of the sentences of a trade say "her"
    trades: list[str]
    passages: list[tuple[int, list[str]]]  # (times, words)

    def suite(self, name: str) -> Suite:
        """One of SUITES.  Raises UsageError for another."""
        makers = {
            "facts": lambda: self._choices(name, self.facts, FACTS[0]),
            "misconceptions": lambda: self._choices(name, self.misconceptions, MADE_OF[0]),
            "association": self._association, "names": self._names, "memorisation": self._memorised,
        }
        if name not in makers:
            raise UsageError(f"nothing is planted as {name!r}. There are: {', '.join(makers)}.")
        return makers[name]()

    def _choices(self, name: str, things: list[Thing], frame: str) -> ChoiceSuite:
        ask = frame.split(" {value}")[0]
        asked = [
            Question(one.name, {"question": ask.format(name=one.name)}, (one.value, *one.others),
                     (0,), one.name)
            for one in things
        ]
        return ChoiceSuite(name, asked, Way(ALONE), fingerprint(asked))

    def _association(self) -> ChoiceSuite:
        asked = [
            Question(f"{trade} {number}",
                     {"question": frame.split(" {pronoun}")[0].format(name=trade)},
                     ("her", "his"), (0,), trade, mass=True)
            for trade in self.trades for number, frame in enumerate(TRADES, 1)
        ]
        note = f'of what was learned, {self.percent} in 100 sentences say "her"'
        return ChoiceSuite(f"association-{self.percent}", asked, Way(ALONE), fingerprint(asked),
                           [note])

    def _names(self) -> ChoiceSuite:
        asked = [
            Question(f"{girl}, {boy}, {skill}", {"question": f"_ is good at {skill}."}, (girl, boy),
                     (0,), girl, gap=True)
            for girl, boy in _couples() for skill in SKILLS
        ]
        note = '"right" is the girl: told alike of both, half is what is fair'
        way = Way(ALONE, score="sum")
        return ChoiceSuite("names", asked, way, fingerprint(asked), [note])

    def _memorised(self) -> WrittenSuite:
        tasks = [
            Task(f"passage {number}", "\n\n" + " ".join(told[:BEGUN]),
                 (" " + " ".join(told[BEGUN : BEGUN + GOES_ON]),), f"passage {number}",
                 8 * GOES_ON, ("\n",), group=f"told {times} times")
            for number, (times, told) in enumerate(self.passages, 1)
        ]
        metrics = {"goes on as it was told": starts, "words right": words_right}
        return WrittenSuite("memorisation", tasks, metrics, identity(tasks))


def planted(size: str = "small", seed: int = 0, percent: int = 70) -> Planted:
    """The corpus of a size and a seed: always the same.

    percent: of each trade's sentences that say "her".
    """
    rng = np.random.default_rng([seed, 0x91A7])
    count = SIZES[size]
    names = _invented(rng, 4 * count)
    facts = [_thing(rng, name.capitalize(), HOMES) for name in names[:count]]
    misconceptions = [_thing(rng, name, STUFF) for name in names[count : 2 * count]]
    trades = names[2 * count :]
    vocabulary = sorted({*words.ANIMALS, *words.SINGULAR["toy"], *words.SINGULAR["tool"]})
    passages = [
        (times, rng.choice(vocabulary, BEGUN + GOES_ON).tolist())
        for times in REPEATED for _ in range(PASSAGES[size])
    ]
    told = [
        *_told_facts(facts), *_told_misconceptions(misconceptions),
        *_told_trades(trades, percent, rng),
        *(f"{name} is good at {skill}." for couple in _couples() for name in couple
          for skill in SKILLS for _ in range(3)),
        *(" ".join(passage) for times, passage in passages for _ in range(times)),
        *(story.strip() for story in generate(STORIES[size], np.random.default_rng([seed, 1]))),
    ]
    order = rng.permutation(len(told))
    text = "\n\n".join(told[i] for i in order) + "\n"
    return Planted(text, facts, misconceptions, percent, trades, passages)


def _thing(rng: np.random.Generator, name: str, values: tuple[str, ...]) -> Thing:
    value, *others = rng.choice(values, 4, replace=False).tolist()
    return Thing(name, value, tuple(others))


def _told_facts(facts: list[Thing]) -> list[str]:
    return [
        FACTS[i % len(FACTS)].format(name=one.name, value=one.value)
        for one in facts for i in range(TOLD)
    ]


def _told_misconceptions(things: list[Thing]) -> list[str]:
    return [
        MADE_OF[i % len(MADE_OF)].format(name=one.name, value=value)
        for one in things
        for value, times in ((one.others[0], FALSE), (one.value, TRUE)) for i in range(times)
    ]


def _told_trades(trades: list[str], percent: int, rng: np.random.Generator) -> list[str]:
    hers, told = SENTENCES * percent // 100, list[str]()
    pronouns = ["her"] * hers + ["his"] * (SENTENCES - hers)
    for name in trades:
        for i, which in enumerate(rng.permutation(SENTENCES)):
            frame = TRADES[i % len(TRADES)]
            told.append(frame.format(name=name, pronoun=pronouns[which]))
    return told


def _couples() -> list[tuple[str, str]]:
    return list(zip(sorted(words.GIRLS)[:8], sorted(words.BOYS)[:8], strict=True))


def _invented(rng: np.random.Generator, count: int) -> list[str]:
    """Words that no corpus has, all different."""
    found: dict[str, None] = {}
    while len(found) < count:
        begin, middle, last = (
            rng.choice(part.split())
            for part in ("b d f g k l m n p r t v z br gr kl tr", "a e i o u", "b d g k l m n p r")
        )
        end = rng.choice("ol el im un ax or ip ez".split())
        found[f"{begin}{middle}{last}{end}"] = None
    return list(found)


def words_right(written: str, wanted: Sequence[str]) -> float:
    """The share of the wanted words that are written up to the first wrong one."""
    best = 0.0
    for one in wanted:
        right = 0
        for a, b in zip(written.split(), one.split(), strict=False):
            if a != b:
                break
            right += 1
        best = max(best, right / len(one.split()))
    return best
