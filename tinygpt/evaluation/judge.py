"""A judge: which of two answers is right, and whether its word can be taken.

    judge = ModelJudge(open_judge("judge"))          a small model trained for it
    judge = ServerJudge("http://127.0.0.1:8000")     or any OpenAI-compatible server
    found = judged(judge, pairs)                     both orders of each pair
    found.kappa, found.same, found.trusted

Large judges agree with people 33 to 41 points less by kappa than by plain agreement; many prefer
whatever stands first. So every pair is asked in both orders. Where the two verdicts differ, or one
is no verdict, the judge abstains; and before its word is used it has to show, on pairs whose truth
is known, that kappa is KAPPA at least and the verdict stays the same after swapping in SAME of the
pairs. If it does not, it is not trusted and everything it says is an abstention.

The pairs here are questions about a small world (../text/tasks/world.py) with the right answer and
one that the same scene could have had. The judge that is trained for them says its own answer
before its verdict: a verdict alone is one bit to learn from a whole scene.

Read first: ../text/tasks/world.py. Read next: ../../bench/judge.py, which trains it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.agreement import kappa
from tinygpt.evaluation.remote import Server
from tinygpt.inference.answers import answers
from tinygpt.inference.templates import Messages
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
ASKED = "{question} A: {a} B: {b}"  # the words of a pair


class Pair(NamedTuple):
    """A question, a right answer and a wrong one.  first: which of them is called A."""

    question: str
    right: str
    wrong: str
    first: str

    def asked(self, swapped: bool = False) -> str:
        """The words that a judge reads."""
        a, b = (self.right, self.wrong) if self.first == "right" else (self.wrong, self.right)
        a, b = (b, a) if swapped else (a, b)
        return ASKED.format(question=self.question, a=a, b=b)

    def letter(self, swapped: bool = False) -> str:
        """The letter of the right answer."""
        return "A" if (self.first == "right") != swapped else "B"


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
    def letters(self, asked: Sequence[str]) -> list[str]:
        """"A", "B" or "" (no verdict) for each text of Pair.asked."""


class ModelJudge(Judge):
    """A model in this process that was taught to judge."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm):
        self.model, self.tokenizer, self.form = model, tokenizer, form

    def letters(self, asked: Sequence[str]) -> list[str]:
        questions: list[Messages] = [[{"role": "user", "content": one}] for one in asked]
        found = answers(self.model, self.tokenizer, self.form, questions, max_tokens=24)
        return [_letter(one.text) for one in found]


class ServerJudge(Judge):
    """A chat model behind an OpenAI-compatible address, asked in plain words."""

    ASK = (
        "Which answer to the question at the end of this text is right? Reply with one letter, A "
        "or B.\n\n{asked}"
    )

    def __init__(self, url: str, model: str | None = None):
        self.server = Server(url, model)

    def letters(self, asked: Sequence[str]) -> list[str]:
        return [_letter(self.server.chat(self.ASK.format(asked=one), 16)) for one in asked]


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
    return ModelJudge(model, tokenizer, form)


def judged(judge: Judge, pairs: Sequence[Pair]) -> Agreement:
    """Ask about every pair in both orders.  Raises ValueError for no pair."""
    if not pairs:
        raise ValueError("judged: no pair")
    straight = judge.letters([pair.asked() for pair in pairs])
    turned = judge.letters([pair.asked(swapped=True) for pair in pairs])
    other = {"A": "B", "B": "A", "": ""}
    verdicts = tuple(
        one if one and one == other[two] else "" for one, two in zip(straight, turned, strict=True)
    )
    said = [(one, pair.letter()) for one, pair in zip(verdicts, pairs, strict=True) if one]
    return Agreement(
        len(pairs), len(said), sum(a == b for a, b in said), kappa(said),
        len(said) / len(pairs), verdicts,
    )


# What it is trained and tried on.


def world_pairs(count: int, seed: int) -> list[Pair]:
    """Questions about small worlds, each with the right answer and one of the same scene."""
    rng, found = np.random.default_rng([seed, 0x1D6E]), list[Pair]()
    scenes = make(2 * count, seed)
    places = sorted({one.messages[-1].content for one in scenes
                     if not one.messages[-1].content.startswith("It is")
                     and not one.messages[-1].content.endswith("has it.")})
    for scene in scenes:
        question, right = (message.content for message in scene.messages)
        wrong = _wrong(question, right, places, rng)
        if wrong:
            found.append(Pair(question, right, wrong, "right" if rng.random() < 0.5 else "wrong"))
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


def leave_lessons(path: Path, count: int, seed: int) -> None:
    """Conversations to be learned by `tinygpt finetune`: the judge's own answer, then a letter."""
    lines = []
    for pair in world_pairs(count, seed):
        answer = f"{pair.right} {pair.letter()}"
        lines.append(json.dumps({"prompt": pair.asked(), "completion": answer}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
