"""A judge: which of two answers is right, and whether its word can be taken.

    judge = LikelihoodJudge(open_judge("run"))       a chat model here
    judge = ServerJudge("http://127.0.0.1:8000")     or any OpenAI-compatible server
    found = judged(judge, pairs)                     both orders of each pair
    found.kappa, found.same, found.trusted
    preferred(judge, pairs)                          of two models' answers, once it is trusted

Large judges agree with people 33 to 41 points less by kappa than by plain agreement; many prefer
whatever stands first. So every pair is asked in both orders. Where the two verdicts differ, or one
is no verdict, the judge abstains; and before its word is used it has to show, on pairs whose truth
is known, that kappa is KAPPA at least and the verdict stays the same after swapping in SAME of the
pairs. If it does not, it is not trusted and everything it says is an abstention.

**A small model is not asked in words.** Taught for 2,000 steps to read both answers and say a
letter, one of ours kept its verdict after swapping in 34 % of pairs (bench/LOG.md, 2026-11-28). A
model that was taught to answer knows more than it can say: the answer that it finds likelier is its
verdict. Each is scored alone, so that none stands first.

The pairs with a known truth are questions about a small world (../text/tasks/world.py), or of
whoever has questions with answers: the answer of a question beside that of another.

Read first: ../text/tasks/world.py, subject.py. Read next: ../../bench/judge.py, which tries one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.agreement import kappa
from tinygpt.evaluation.intervals import Interval, wilson
from tinygpt.evaluation.remote import Server
from tinygpt.evaluation.results import Results
from tinygpt.evaluation.subject import Local
from tinygpt.inference.prompt import end_ids
from tinygpt.inference.templates import prompt_ids
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm
from tinygpt.text.tasks.world import make
from tinygpt.tokenizer import Tokenizer
from tinygpt.weights.open import form_of, open_model

KAPPA, SAME = 0.6, 0.95
FEWEST = 50  # pairs that can show it
VERDICT = re.compile(r"\b([AB])\W*$")
SPOT = re.compile(r"put the \w+ ((?:on|in|under|behind) [\w ]+?)\.")
NAME = re.compile(r"\b([A-Z]\w+) (?:went|took|gave|put)\b")
OTHER = {"A": "B", "B": "A", "": ""}


class Pair(NamedTuple):
    """A question and two answers.  truth: the letter of the right one, "" where nobody knows."""

    question: str
    a: str
    b: str
    truth: str = ""

    def swapped(self) -> Pair:
        return Pair(self.question, self.b, self.a, OTHER[self.truth])


class Agreement(NamedTuple):
    """What a judge showed on pairs whose truth is known.

    asked; said: of them it judged.  right: of these.  kappa: agreement beyond chance, of these.
    same: share of all whose verdict stayed the same after swapping.
    verdicts: the letter of each pair as it was first asked, "" for an abstention.
    """

    asked: int
    said: int
    right: int
    kappa: float
    same: float
    verdicts: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        return self.said >= FEWEST and self.kappa >= KAPPA and self.same >= SAME

    def __str__(self) -> str:
        word = "trusted" if self.trusted else (
            f"not trusted: it takes kappa {KAPPA}, {SAME:.0%} the same and {FEWEST} verdicts, and "
            "so it abstains from everything"
        )
        return (
            f"{self.said} of {self.asked} pairs judged, {self.asked - self.said} abstained; kappa "
            f"{self.kappa:.2f}, same after swapping {self.same:.1%}: {word}."
        )


class Judge(ABC):
    """Whoever can be asked which of two answers is right."""

    @abstractmethod
    def letters(self, pairs: Sequence[Pair]) -> list[str]:
        """"A", "B" or "" (no verdict) for each."""


class LikelihoodJudge(Judge):
    """A chat model in this process: right is what it would sooner answer.

    Of answers that are equally likely none is.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm):
        self.subject, self.ends = Local(model, tokenizer, form), sorted(end_ids(tokenizer, form))

    def letters(self, pairs: Sequence[Pair]) -> list[str]:
        return [self._letter(pair) for pair in pairs]

    def _letter(self, pair: Pair) -> str:
        tokenizer, form = self.subject.tokenizer, self.subject.form
        assert form is not None
        prefix = prompt_ids(form, tokenizer, [{"role": "user", "content": pair.question}])
        rests = [np.array([*tokenizer.encode(text, disallowed_special=()), *self.ends[:1]])
                 for text in (pair.a, pair.b)]
        room = self.subject.context - max(map(len, rests)) + 1
        if room < 1:
            return ""
        (a, _), (b, _) = self.subject.after(prefix[-room:], rests)
        return "A" if a.sum() > b.sum() else "B" if b.sum() > a.sum() else ""


class ServerJudge(Judge):
    """A chat model behind an OpenAI-compatible address, asked in plain words."""

    ASK = (
        "Which answer to this question is right? Reply with one letter, A or B.\n\n"
        "{question}\n\nA: {a}\nB: {b}"
    )

    def __init__(self, url: str, model: str | None = None):
        self.server = Server(url, model)

    def letters(self, pairs: Sequence[Pair]) -> list[str]:
        return [
            _letter(self.server.chat(self.ASK.format(question=q, a=a, b=b), 16))
            for q, a, b, _ in pairs
        ]


def _letter(text: str) -> str:
    found = VERDICT.search(text.strip())
    return found.group(1) if found else ""


def open_judge(given: str) -> Judge:
    """A judge from a run's folder, a file or an address.  Errors as open_model."""
    if given.startswith(("http://", "https://")):
        return ServerJudge(given)
    model, tokenizer = open_model(given)
    form = form_of(given) or ChatForm(OWN_TEMPLATE, ends=tuple(tokenizer.special_tokens))
    if form.template is None:
        raise UserError(f"{given} was not taught to answer, and a judge has to. Give a chat model.")
    return LikelihoodJudge(model, tokenizer, form)


def verdicts(judge: Judge, pairs: Sequence[Pair]) -> list[str]:
    """The letter of each pair that is the same one in both orders, else ""."""
    straight = judge.letters(pairs)
    turned = judge.letters([pair.swapped() for pair in pairs])
    return [one if one == OTHER[two] else "" for one, two in zip(straight, turned, strict=True)]


def judged(judge: Judge, pairs: Sequence[Pair]) -> Agreement:
    """What a judge shows on pairs whose truth is known.  Raises ValueError for no pair."""
    if not pairs:
        raise ValueError("judged: no pair")
    found = verdicts(judge, pairs)
    said = [(one, pair.truth) for one, pair in zip(found, pairs, strict=True) if one]
    return Agreement(
        len(pairs), len(said), sum(a == b for a, b in said), kappa(said),
        len(said) / len(pairs), tuple(found),
    )


class Preferred(NamedTuple):
    """Verdicts on two models' answers.  b: the share of A's and B's wins that are B's."""

    a_wins: int
    b_wins: int
    none: int
    b: Interval

    def __str__(self) -> str:
        low, high = self.b.low, self.b.high
        return (
            f"the judge prefers B's answer {self.b_wins} times, A's {self.a_wins} times, and gives "
            f"no verdict {self.none} times: B is better in {self.b.value:.0%} ({low:.0%} to "
            f"{high:.0%}) of what it decided."
        )


def preferred(judge: Judge, pairs: Sequence[Pair]) -> Preferred:
    """Whose answers a trusted judge prefers.  pairs: with A's answer first.

    Raises UserError where it decides nothing.
    """
    found = verdicts(judge, [pair for pair in pairs if pair.a != pair.b])
    a, b = found.count("A"), found.count("B")
    if not a + b:
        raise UserError(
            f"the judge abstained from all {len(pairs)} pairs. Ask more, or another judge."
        )
    return Preferred(a, b, len(pairs) - a - b, wilson(b / (a + b), a + b))


# What its truth is known of.


def answered(a: Results, b: Results) -> tuple[list[Pair], list[tuple[str, str]]]:
    """(both models' answers to each item that both wrote, the items' questions and answers).

    Raises UserError for results of a suite in which nothing is written.
    """
    for one in (a, b):
        if one.header["kind"] != "written":
            raise UserError(
                f"a judge reads what models wrote, and {one.header['suite']} only asks how likely "
                "something is. Choose a suite like answers."
            )
    others = {line["item"]: line["written"] for line in b.counted}
    both = [line for line in a.counted if line["item"] in others]
    return (
        [Pair(line["prompt"], line["written"].strip(), others[line["item"]].strip())
         for line in both],
        [(line["prompt"], line["wanted"][0].strip()) for line in both if line["wanted"]],
    )


def known_pairs(asked: Sequence[tuple[str, str]], seed: int) -> list[Pair]:
    """The answer of each question beside one of another question; none where all answers are one.

    asked: questions with their answers.
    """
    rng = np.random.default_rng([seed, 0x1D6E])
    answers = sorted({answer for _, answer in asked})
    found = []
    for question, right in asked if len(answers) > 1 else ():
        k = int(rng.integers(len(answers) - 1))
        found.append(_dealt(question, right, answers[k + (answers[k] >= right)], rng))
    return found


def _dealt(question: str, right: str, wrong: str, rng: np.random.Generator) -> Pair:
    """A pair of which a coin says whether the right answer is A."""
    pair = Pair(question, right, wrong, "A")
    return pair if rng.random() < 0.5 else pair.swapped()


def world_pairs(count: int, seed: int) -> list[Pair]:
    """Questions about small worlds, each with the right answer and one of the same scene."""
    rng, found = np.random.default_rng([seed, 0x1D6E]), list[Pair]()
    scenes = make(2 * count, seed)
    firsts = [(one.messages[0].content, one.messages[1].content) for one in scenes]
    places = sorted({answer for _, answer in firsts
                     if not answer.startswith("It is") and not answer.endswith("has it.")})
    for question, right in firsts:
        wrong = _wrong(question, right, places, rng)
        if wrong:
            found.append(_dealt(question, right, wrong, rng))
    if len(found) < count:
        raise ValueError(f"world_pairs: {len(found)} of {count} pairs")
    return found[:count]


def _wrong(question: str, right: str, places: list[str], rng: np.random.Generator) -> str:
    """What else the scene could have answered, "" where it names nothing else."""
    if right.startswith("It is") or right.endswith("has it."):
        could = {f"It is {spot}." for spot in SPOT.findall(question)}
        could |= {f"{name} has it." for name in NAME.findall(question)}
    else:
        could = {one for one in places if one.split(" ", 1)[1].rstrip(".") in question}
    left = sorted(could - {right})
    return str(left[int(rng.integers(len(left)))]) if left else ""
