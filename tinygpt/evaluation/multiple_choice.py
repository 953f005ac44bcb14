"""Multiple choice: which of several answers a model finds likeliest, and what that is worth.

A model that writes on answers no letter by itself; what can be asked is log p(answer | question) of
each choice. Long answers are less likely than short ones whatever they say, so there is a choice of
what to compare, and it moves results by many points:

    sum          log p                                as it is: short answers win
    token        log p / tokens                       another number for every tokenizer
    character    log p / characters                   a Chinese character weighs as a Latin letter
    byte         log p / bytes                        the default: the same for every tokenizer
    pmi          log p - log p without the question   how much the question made it likelier

All five are counted from the same numbers and all are shown; the default is the byte's, because it
compares two models whatever their tokenizers, which is what evaluations are for.

**A model that says nothing is refused.** If the best two answers tie, whoever counts the first of
them as chosen reports the share of items whose right answer is the first, or chance, and it looks
like a result (ggml-org/llama.cpp issue 27174: every log probability was 0.0). So a tie is never
right, and where half of all items tie by any of the scores there is no accuracy at all: a model
that gives each token the same probability ties by token, one that does not read the question by
pmi.

Read first: subject.py, questions.py, templates.py. Read next: suites/.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import (
    alone,
    chance,
    difference,
    in_clusters,
    mean,
    share,
)
from tinygpt.evaluation.questions import Question
from tinygpt.evaluation.records import Wrong
from tinygpt.evaluation.results import Pair, Row
from tinygpt.evaluation.subject import Scored, Subject
from tinygpt.evaluation.suite import Suite
from tinygpt.evaluation.templates import Template, asked, examples

SCORES = ("byte", "sum", "token", "character", "pmi")
DEFAULT = "byte"
TIE = 1e-6  # nats a unit: closer than a float32 pass can tell
REFUSED = 0.5  # share of items that tie
IN_A_BIN = 20  # items of like confidence, whose share of right ones is known to 20 points or so


@dataclasses.dataclass(frozen=True)
class Way:
    """How questions are asked.

    shots: right examples before each, drawn with `seed` from the questions and then not asked.
    score: the one of SCORES that is the result.
    """

    template: Template
    shots: int = 0
    seed: int = 0
    score: str = DEFAULT


class ChoiceSuite(Suite):
    """Questions with choices, asked in one way."""

    kind = "choice"

    def __init__(
        self, name: str, questions: Sequence[Question | Wrong], way: Way, identity: str,
        notes: Sequence[str] = (), shown: Sequence[Question] | None = None,
    ):
        """identity: a hash of the questions.  shown: the examples, if somebody chose them.

        Raises UserError for more shots than questions.
        """
        good = [one for one in questions if isinstance(one, Question) and not one.mass]
        if way.shots >= max(1, len(good)):
            raise UserError(f"{way.shots} examples of {len(good)} questions leave none to ask. "
                            "Ask for fewer: --shots.")
        if shown is None:
            rng = np.random.default_rng([way.seed, 0x5407])
            shown = [good[i] for i in rng.choice(len(good), way.shots, replace=False)]
        self.way, self._shown = way, shown
        names = {one.cluster for one in shown}
        self.questions = [
            one for one in questions if isinstance(one, Wrong) or one.cluster not in names
        ]
        self._alone: dict[str, float] = {}
        settings = {"questions": identity, "template": list(way.template), "shots": way.shots,
                    "seed": way.seed, "score": way.score}
        super().__init__(name, settings, notes)

    def __len__(self) -> int:
        return len(self.questions)

    def lines(self, subject: Subject, done: Collection[str]) -> Iterator[dict[str, Any]]:
        self._alone.clear()
        before = examples(self.way.template, self._shown)
        for one in self.questions:
            if one.name in done:
                continue
            if isinstance(one, Wrong):
                yield {"item": one.name, "left_out": one.why}
                continue
            try:
                yield self._line(subject, before, one)
            except UserError as error:
                yield {"item": one.name, "left_out": str(error)}

    def _line(self, subject: Subject, before: str, question: Question) -> dict[str, Any]:
        parts = asked(self.way.template, question)
        scored = score(subject, before, parts)
        self._score_alone(subject, [answer for _, answer in parts])
        choices = [
            {
                "answer": answer, "nats": found.nats, "tokens": found.tokens,
                "bytes": len(answer.strip().encode()), "alone": self._alone[answer],
                "greedy": found.greedy,
            }
            for (_, answer), found in zip(parts, scored, strict=True)
        ]
        line: dict[str, Any] = {
            "item": question.name, "right": list(question.right), "cluster": question.cluster,
            "question": parts[0][0][-400:], "choices": choices,
        }
        if question.mass:
            line["mass"] = True
        if cut := max(found.cut for found in scored):
            line["cut"] = cut
        return line

    def _score_alone(self, subject: Subject, answers: Sequence[str]) -> None:
        new = sorted({answer for answer in answers if answer not in self._alone})
        if new:
            found = subject.scores("", new)
            self._alone.update(zip(new, (one.nats for one in found), strict=True))


def score(subject: Subject, before: str, parts: Sequence[tuple[str, str]]) -> list[Scored]:
    """Each (context, answer) after `before`.

    Answers of one context are asked together and in an order of their own, so that the order of
    choices changes no bit. Spaces at a context's end go to its answers: a text is tokenized so.
    """
    found: dict[tuple[str, str], Scored] = {}
    for context in dict.fromkeys(context for context, _ in parts):
        whole = before + context
        start = whole.rstrip()
        answers = sorted({answer for other, answer in parts if other == context})
        texts = [whole[len(start) :] + answer for answer in answers]
        for answer, one in zip(answers, subject.scores(start, texts), strict=True):
            found[context, answer] = one
    return [found[part] for part in parts]


# What lines say.


def values(line: dict[str, Any], name: str) -> np.ndarray:
    """The score of each choice by a name of SCORES, (choices,)."""
    choices = line["choices"]
    nats = np.array([one["nats"] for one in choices])
    if name == "sum":
        return nats
    if name == "pmi":
        return nats - np.array([one["alone"] for one in choices])
    size = {
        "byte": lambda one: one["bytes"], "token": lambda one: one["tokens"],
        "character": lambda one: len(one["answer"].strip()),
    }[name]
    return nats / np.maximum([size(one) for one in choices], 1)


def tied(scores: np.ndarray) -> bool:
    """Whether the best two cannot be told apart."""
    second, best = np.sort(scores)[-2:]
    return bool(best - second <= TIE * (1 + abs(best)))


def right(line: dict[str, Any], name: str) -> float:
    """1 if the best choice is a right one, 0 if it is not, or a tie."""
    scores = values(line, name)
    return float(int(scores.argmax()) in line["right"] and not tied(scores))


def mass(line: dict[str, Any]) -> float:
    """The share of probability on right choices."""
    nats = values(line, "sum")
    weights = np.exp(nats - nats.max())
    return float(weights[line["right"]].sum() / weights.sum())


def check(lines: Sequence[dict[str, Any]], model: str) -> None:
    """Raise UserError where answers tie so often that nothing is said by counting them."""
    for name in SCORES:
        asked_by = [line for line in lines if name != "pmi" or _differs(line)]
        ties = sum(tied(values(line, name)) for line in asked_by)
        if asked_by and ties >= REFUSED * len(asked_by):
            why = {
                "pmi": "it says the same whatever is asked", "token": "every token is alike to it",
            }.get(name, "it does not tell them apart")
            raise UserError(
                f"{model} has no accuracy here: in {ties} of {len(asked_by)} items the best "
                f"answers tie by {name}, {why}. Look into the file of results."
            )


def _differs(line: dict[str, Any]) -> bool:
    """Whether a question stands before answers that are not one and the same."""
    return bool(line.get("question")) and len({one["answer"] for one in line["choices"]}) > 1


def split(
    lines: Sequence[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(those with one right answer, those whose probability is shared).

    Raises UserError where nothing was asked.
    """
    counted = [line for line in lines if "left_out" not in line]
    if not counted:
        reason = lines[0]["left_out"] if lines else "there was none."
        raise UserError(f"no question could be asked: {reason}")
    return ([line for line in counted if not line.get("mass")],
            [line for line in counted if line.get("mass")])


def rows(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Row]:
    """Accuracy by each score, the default first; chance; the share of probability where that is
    asked.  Raises UserError where nothing was asked, or nothing said."""
    single, shared = split(lines)
    check([*single, *shared], header["model"])
    found: list[Row] = []
    if single:
        clusters = [line["cluster"] for line in single]
        names = sorted(SCORES, key=lambda name: name != header["settings"].get("score", DEFAULT))
        for name in names:
            note = "the result" if name == names[0] else ""
            accuracy = share([right(line, name) for line in single], clusters, rng)
            found.append(Row(f"right, by {name}", accuracy, percent=True, note=note))
        low, high = chance_of(single)
        ways = [len(line["right"]) / len(line["choices"]) for line in single]
        found.append(Row("by chance", alone(float(np.mean(ways)))._replace(low=low, high=high),
                         percent=True))
    if shared:
        clusters = [line["cluster"] for line in shared]
        found.append(Row("probability on right answers (mc2)",
                         mean([mass(line) for line in shared], clusters, rng), percent=True))
        guess = [len(line["right"]) / len(line["choices"]) for line in shared]
        found.append(Row("by chance (mc2)", alone(float(np.mean(guess))), percent=True))
    return found


def chance_of(lines: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Between which shares LEVEL of all guessers fall."""
    return chance([len(line["right"]) / len(line["choices"]) for line in lines])


def verdict(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[str]:
    """Sentences: is that more than guessing, were answers tied, contexts cut."""
    single, _ = split(lines)
    said = []
    if single:
        name = header["settings"].get("score", DEFAULT)
        found = float(np.mean([right(line, name) for line in single]))
        low, high = chance_of(single)
        where = "above" if found > high else "below" if found < low else "within"
        doubt = ": these items do not show that it knows anything" * (where == "within")
        said.append(f"{found:.1%} is {where} what guessing gives, {low:.1%} to {high:.1%}{doubt}.")
        if ties := sum(tied(values(line, name)) for line in single):
            said.append(f"{ties} of {len(single)} items tie and count as wrong.")
    cut, count = sum("cut" in line for line in lines), sum("choices" in line for line in lines)
    if cut:
        said.append(f"{cut} of {count} contexts were longer than the model's and lost their "
                    "beginning.")
    return said


def paired(
    a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Pair]:
    """Accuracy by the default score and by sum, and shared probability, item by item."""
    keep = [i for i, line in enumerate(a) if not line.get("mass")]
    rest = [i for i, line in enumerate(a) if line.get("mass")]
    wanted: list[tuple[str, list[int], Callable[[dict[str, Any]], float], Any]] = [
        (f"right, by {DEFAULT}", keep, lambda line: right(line, DEFAULT), share),
        ("right, by sum", keep, lambda line: right(line, "sum"), share),
        ("probability on right answers (mc2)", rest, mass, mean),
    ]
    for lines in (a, b):
        check(lines, "one of the two")
    pairs = []
    for title, which, measure, interval in wanted:
        if not which:
            continue
        clusters = [a[i]["cluster"] for i in which]
        known = [[measure(lines[i]) for i in which] for lines in (a, b)]
        (x, counts), (y, _) = (in_clusters(one, clusters) for one in known)
        pairs.append(Pair(
            title, interval(known[0], clusters, rng), interval(known[1], clusters, rng),
            difference(x, y, counts, rng), (x, y), counts, percent=True,
        ))
    return pairs


def calibration(
    lines: Sequence[dict[str, Any]], bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean confidence, share that is right, items) of items of like confidence.

    Confidence is the probability of the chosen answer among the choices. The bins hold as many
    items each, IN_A_BIN at least: of three answers 0 or 100 % are right, and a curve of such shares
    would be one of chance.
    """
    sure, good = [], []
    for line in split(lines)[0]:
        nats = values(line, "sum")
        weights = np.exp(nats - nats.max())
        sure.append(float(weights.max() / weights.sum()))
        good.append(right(line, "sum"))
    order = np.argsort(sure, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order) // IN_A_BIN)))
    return [
        (float(np.mean(np.array(sure)[part])), float(np.mean(np.array(good)[part])), len(part))
        for part in parts if len(part)
    ]
