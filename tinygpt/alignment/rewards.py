"""What an answer is worth: by rules that are known, so that one can see what they are taken for.

    exact              1 for what the question's answer is (of a task: what is right), and ended
    regex:PATTERN      1 for an answer in which the pattern is found
    length:N           1 for an answer of N tokens, falling to 0 at none and at 2 N
    program:FILE       what reward(prompt, answer, truth) in a Python file says (sandbox.py)
    model:RUN          the score of a reward model (reward_model.py)
    random, constant   0 or 1 by a coin; 1: the controls that every claim is shown beside

A number and a star before a rule are its weight, "-1*exact" the inverted control; several rules are
summed. A pattern is tried in a process of its own, as a program is: either may never end.

Read next: sandbox.py, rollouts.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.alignment.sandbox import run_pattern, run_program
from tinygpt.config import ConfigError
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.text.conversations import Conversation
from tinygpt.text.tasks import TASKS, exact
from tinygpt.training.trouble import CannotGoOn

KNOWN = ("exact", "regex", "length", "program", "model", "random", "constant")


class Written(NamedTuple):
    """An answer to a conversation's last question: what it says, whether the policy ended it, and
    of how many tokens it is."""

    asked: Conversation
    text: str
    ended: bool
    tokens: int

    @property
    def prompt(self) -> str:
        """The question."""
        return self.asked.messages[-2].content

    @property
    def truth(self) -> str:
        """The conversation's own answer."""
        return self.asked.messages[-1].content


Rule = Callable[[Sequence[Written], np.random.Generator], np.ndarray]


class Rewards:
    """Rules in sum.

    rules: texts as above.  source: of the conversations, which says what is right.
    seconds: that a program or a pattern may take for all answers at once.
    Raises ConfigError for a rule that is none.
    """

    def __init__(self, rules: Sequence[str], source: str = "", seconds: float = 10.0):
        self._parts = [_parsed(rule, source, seconds) for rule in rules]
        if not self._parts:
            raise ConfigError(f"policy.rewards is empty. Name one of: {', '.join(KNOWN)}.")

    def __call__(self, answers: Sequence[Written], rng: np.random.Generator) -> np.ndarray:
        """(S,) float64.  Raises CannotGoOn for a rule that fails, or says no number."""
        total = np.zeros(len(answers))
        for name, weight, rule in self._parts:
            found = np.asarray(rule(answers, rng), np.float64)
            if not np.isfinite(found).all():
                first = int(np.flatnonzero(~np.isfinite(found))[0])
                raise CannotGoOn(
                    f"the reward {name} of the answer {answers[first].text[:60]!r} is "
                    f"{found[first]}, which nothing can be learned from. Correct it, and go on "
                    "with --resume."
                )
            total += weight * found
        return total


def _parsed(rule: str, source: str, seconds: float) -> tuple[str, float, Rule]:
    """(name, weight, rule) of its text."""
    weighted = re.fullmatch(r"\s*(?:(-?\d+(?:\.\d+)?)\*)?(\w+)(?::(.*))?\s*", rule, re.DOTALL)
    if weighted is None or weighted[2] not in KNOWN:
        raise ConfigError(f"policy.rewards names {rule!r}. Known: {', '.join(KNOWN)}.")
    weight, name, argument = float(weighted[1] or 1), weighted[2], weighted[3] or ""
    needs = name in ("regex", "length", "program", "model")
    if needs != bool(argument):
        what = "needs something behind a colon" if needs else "takes nothing behind it"
        raise ConfigError(f"policy.rewards: {rule!r} {what}, as in length:20.")
    return name, weight, _made(name, argument, source, seconds)


def _made(name: str, argument: str, source: str, seconds: float) -> Rule:
    if name == "exact":
        right = TASKS[source].right if source in TASKS else exact
        return lambda answers, rng: np.array(
            [float(one.ended and right(one.asked, one.text)) for one in answers]
        )
    if name == "regex":
        return _pattern(argument, seconds)
    if name == "length":
        return _length(argument)
    if name == "program":
        return _program(argument, seconds)
    if name == "model":
        return _model(argument)
    if name == "random":
        return lambda answers, rng: rng.integers(0, 2, len(answers)).astype(np.float64)
    return lambda answers, rng: np.ones(len(answers))


def _pattern(pattern: str, seconds: float) -> Rule:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"policy.rewards: {pattern!r} is no pattern ({error}). Correct it."
        ) from None
    return lambda answers, rng: np.array(
        run_pattern(pattern, [one.text for one in answers], seconds)
    )


def _length(tokens: str) -> Rule:
    if not tokens.isascii() or not tokens.isdigit() or int(tokens) < 1:
        raise ConfigError(
            f"policy.rewards: length:{tokens} must be a number of tokens, as length:20."
        )
    wanted = int(tokens)
    return lambda answers, rng: np.array(
        [max(0.0, 1 - abs(one.tokens - wanted) / wanted) for one in answers]
    )


def _program(path: str, seconds: float) -> Rule:
    file = Path(expand(path))
    if kind(file) != "file":
        raise ConfigError(
            f"policy.rewards: there is no program {shown(file)}. Give a Python file with a "
            "function reward(prompt, answer, truth)."
        )
    return lambda answers, rng: np.array(run_program(
        file, [(one.prompt, one.text, one.truth) for one in answers], seconds
    ))


def _model(path: str) -> Rule:
    from tinygpt.alignment.reward_model import open_reward_model

    judge = open_reward_model(path)
    return lambda answers, rng: judge.scores([(one.asked, one.text) for one in answers])
