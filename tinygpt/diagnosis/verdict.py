"""From measurements of a trained model to one paragraph: what is wrong, and one thing to do.

The rules are tried in order of how surely they explain the rest: a rate that is too high makes
every other number meaningless, overfitting makes "train longer" the wrong advice, and so on. They
are rules of thumb, each with its number beside it, not laws.

Read next: measure.py, which measures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Findings:
    """What measure.py measured.  Losses are in nats an answer; shares are in 0..1.

    None is what does not apply to a run: an objective says what does.

    answer: what an answer is, a token or a class.
    val_loss, train_loss: now, on what was held out and on what is learned from.  best_val_loss,
    best_step: of the evaluations on the way.  uniform, unigram, bigram: losses of models without a
    network; base: of the model before it was taught.
    still_falling: by how much the held-out loss fell over the last fifth of training.
    rose: by how much the smoothed training loss lies above its lowest point.
    passes: how often what is learned from was seen.  skipped: steps thrown away.
    finite: all weights are numbers.  lr: peak rate, as far as rollbacks left it.
    rare_tokens: share of the vocabulary seen fewer than 20 times in the training text.
    right: share of held-out answers that are right; guessed: that the commonest alone has right.
    ended: share of answers that the model ended, in place of writing until it was stopped.
    repetition: share of a sample's 4-grams that had occurred in it before.  text_repetition: the
    same of the training text.
    copying: share of a sample that stands word for word in the training text.
    dead_units: share of hidden units that never answer.  update_ratio: |change| / |weight| of a
    step at the peak rate, median over matrices.  clipped: share of steps whose gradient was cut.
    held_out_tokens: where they are fewer than least_held_out, nothing held out was measured:
    val_loss is train_loss, and the other models are judged on the training text too.
    hold_out: the setting that holds out more.
    stands_on: the base whose shape and tokenizer the model has; adapted: whether that stays.
    """

    step: int
    steps: int
    parameters: int
    train_tokens: int
    val_loss: float
    train_loss: float
    best_val_loss: float
    best_step: int
    still_falling: float
    rose: float
    passes: float
    skipped: int
    rollbacks: int
    update_ratio: float
    clipped: float
    lr: float
    finite: bool
    vocab_size: int
    n_layers: int = 4
    warmup_steps: int = 100
    held_out_tokens: int = 1
    least_held_out: int = 1
    uniform: float | None = None
    unigram: float | None = None
    bigram: float | None = None
    base: float | None = None
    dead_units: float | None = None
    rare_tokens: float | None = None
    repetition: float | None = None
    text_repetition: float | None = None
    copying: float | None = None
    right: float | None = None
    guessed: float | None = None
    ended: float | None = None
    answer: str = "token"
    hold_out: str = "data.split=0.8,0.2,0"
    stands_on: str | None = None
    adapted: bool = False

    @property
    def judged(self) -> bool:
        """Was enough held out to tell learning from remembering?"""
        return self.held_out_tokens >= self.least_held_out

    @property
    def gap(self) -> float:
        """Held-out loss above training loss, nats an answer."""
        return self.val_loss - self.train_loss

    @property
    def floor(self) -> tuple[float, str]:
        """(loss, in words): what is had before anything is learned; infinite if unknown."""
        known = [
            (self.unigram, f"knowing how often each {self.answer} occurs"),
            (self.base, "the base was before it was taught"),
        ]
        return min(
            ((loss, words) for loss, words in known if loss is not None),
            default=(math.inf, "nothing"),
        )

    @property
    def untaught(self) -> bool:
        """Is the loss no lower than without any learning?"""
        return self.val_loss >= self.floor[0] - 0.02


@dataclass(frozen=True)
class Action:
    """What can be typed to follow an advice: screens/advice.py makes the command of it.

    what: "resume" the run, train "again" under other settings, or "generate" from it.
    settings: "section.key" -> value, or the options of generate.
    """

    what: Literal["resume", "again", "generate"]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """name: of the trouble, one or two words.  why: a few sentences.  advice: one thing to do.

    action: the advice as a command, None where it takes more than one.
    """

    name: str
    why: str
    advice: str
    action: Action | None = None


def verdict_on(f: Findings) -> Verdict:
    """The first rule that holds, or "healthy"."""
    for rule in (
        _broken, _one_symbol, _rate_too_high, _nothing_learned, _overfitting, _tokenizer_too_large,
        _too_few_steps, _dead, _nothing_held_out, _never_ends, _too_small, _repeats,
    ):
        verdict = rule(f)
        if verdict is not None:
            return verdict
    rivals = {"the bigram's": f.bigram, "the base's": f.base, "mere frequencies'": f.unigram}
    name, loss = next(((n, v) for n, v in rivals.items() if v is not None), ("", math.inf))
    below = f" is {'well ' * (f.val_loss < 0.9 * loss)}below {name} {loss:.3f}," * bool(name)
    return Verdict(
        "healthy",
        f"The held-out loss {f.val_loss:.3f}{below or ' and'} training and held-out loss are "
        f"{f.gap:.3f} apart, and nothing that was measured is out of place.",
        "For a lower loss give it more of everything: more to learn from, more steps, then a "
        "larger model.",
    )


def _broken(f: Findings) -> Verdict | None:
    if f.finite:
        return None
    return Verdict(
        "broken weights",
        "Some weights are not numbers, so whatever the model says means nothing. That comes from "
        "an update that was made with a gradient that was not a number.",
        "Go back to an earlier checkpoint, or train again: the loop refuses such steps.",
        Action("again"),
    )


def _one_symbol(f: Findings) -> Verdict | None:
    if f.uniform != 0:
        return None
    return Verdict(
        "nothing to learn",
        f"There is a single {f.answer}, and whoever knows that knows all of it.",
        "Give it data with more than one.",
    )


def _rate_too_high(f: Findings) -> Verdict | None:
    shaky = f.rollbacks > 0 or f.skipped > 0.02 * max(f.step, 1)
    stuck = f.step >= 200 and f.untaught
    risen = f.rose > 0.12 * max(f.best_val_loss, 0.1) and f.rose > 0.15
    # A text of nothing but noise is stuck too, but with small steps.
    if not (shaky or risen or (stuck and f.update_ratio > 0.02)):
        return None
    signs = []
    if shaky:
        signs.append(f"{f.skipped} steps had to be skipped and {f.rollbacks} times training went "
                     "back to a checkpoint")
    if risen:
        signs.append(f"the training loss ended {f.rose:.2f} above its lowest point")
    if stuck:
        signs.append(f"after {f.step} steps the loss is no better than {f.floor[1]}")
    if f.update_ratio > 0.01:
        signs.append(f"a step changes the weights by {f.update_ratio:.1%} (0.1 % is usual)")
    return Verdict(
        "rate too high",
        "The steps overshoot: " + ", and ".join(signs) + ".",
        f"Train again with a lower rate (training.lr={f.lr / 4:.1e}).",
        Action("again", _rates(f.lr / 4)),
    )


def _nothing_learned(f: Findings) -> Verdict | None:
    if not f.untaught:
        return None
    floor = f"{f.floor[1]} ({f.floor[0]:.3f})"
    if f.step < f.steps or f.step < 200:
        return Verdict(
            "too few steps",
            f"After {f.step} steps the loss {f.val_loss:.3f} is no better than {floor}.",
            f"Train on with --resume (training.steps={max(2000, 5 * f.step)}).",
            Action("resume", {"training.steps": max(2000, 5 * f.step)}),
        )
    return Verdict(
        "nothing to learn, or a rate too low",
        f"After {f.step} steps the loss {f.val_loss:.3f} is no better than {floor}. Either what is "
        "asked does not follow from what is read (the order of the text is random), or the steps "
        f"are too small (they change the weights by {f.update_ratio:.2%}).",
        "Look at the data; if it is in order, train again with a higher rate "
        f"(training.lr={4 * f.lr:.1e}).",
        Action("again", {"training.lr": 4 * f.lr}),
    )


def _overfitting(f: Findings) -> Verdict | None:
    past_best = f.val_loss > 1.01 * f.best_val_loss and f.best_step < 0.9 * f.step
    if not (f.gap > 0.12 * f.val_loss and (past_best or f.gap > 0.3 * f.val_loss)):
        return None
    copying = f.copying or 0.0
    copied = f" and {copying:.0%} of what it writes stands word for word in the text" * (
        copying > 0.3
    )
    best = f"The best was {f.best_val_loss:.3f} at step {f.best_step}. " * past_best
    return Verdict(
        "overfitting",
        f"It knows by heart what it learned from: loss {f.train_loss:.3f} there and "
        f"{f.val_loss:.3f} on what it has not seen{copied}. {best}It was seen {f.passes:.0f} times "
        f"by {f.parameters / 1e6:.1f} million parameters.",
        *_less_of_it(f),
    )


def _less_of_it(f: Findings) -> tuple[str, Action]:
    """What to do about a model that has too much room: that of a base cannot be made smaller."""
    if f.stands_on is None:
        return (
            "Give it more data; if there is no more, train again with dropout, or a smaller "
            f"model, or stop at step {f.best_step}.", Action("again", {"model.dropout": 0.2}),
        )
    steps = f.best_step if 0 < f.best_step < 0.9 * f.step else max(1, f.step // 2)
    less = "a lower method.rank" if f.adapted else "an adapter (method.name=lora)"
    return (
        "Give it more data; if there is no more, train again for fewer steps (training.steps="
        f"{steps}), or with {less}.", Action("again", {"training.steps": steps}),
    )


def _tokenizer_too_large(f: Findings) -> Verdict | None:
    if f.rare_tokens is None or f.rare_tokens < 0.5 or f.vocab_size < 300:
        return None
    return Verdict(
        "tokenizer too large for the data",
        f"{f.rare_tokens:.0%} of the {f.vocab_size:,} tokens occur fewer than 20 times in the "
        f"training text of {f.train_tokens:,} tokens: their rows in the model stay at what chance "
        "gave them.",
        "Train again with a smaller vocabulary "
        f"(tokenizer.vocab_size={_rounded(f.vocab_size / 4)}).",
        Action("again", {"tokenizer.vocab_size": _rounded(f.vocab_size / 4)}),
    )


def _too_few_steps(f: Findings) -> Verdict | None:
    falling = f.still_falling > 0.02 * f.val_loss
    bigram = math.inf if f.bigram is None else f.bigram
    early = f.val_loss > bigram and f.passes < 20
    if f.step < f.steps:
        reason = f"Training stopped at step {f.step} of {f.steps}"
    elif falling:
        reason = f"The loss was still falling ({f.still_falling:.3f} over the last fifth)"
    else:
        reason = f"What it learns from was seen only {f.passes:.1f} times"
    if not (falling or early):
        return None
    above = (
        f", and {f.val_loss:.3f} is not yet below what a table of pairs reaches ({bigram:.3f})"
    ) * (f.val_loss > bigram)
    goal = f.steps if f.step < f.steps else 2 * f.steps
    change, more = ({}, "") if goal == f.steps else (
        {"training.steps": goal}, f" (training.steps={goal})"
    )
    return Verdict(
        "too few steps", f"{reason}{above}.", f"Train on with --resume{more}.",
        Action("resume", change),
    )


def _dead(f: Findings) -> Verdict | None:
    if f.dead_units is None or f.dead_units < 0.3:
        return None
    return Verdict(
        "dead units",
        f"{f.dead_units:.0%} of the hidden units never answer to anything: the model is smaller "
        "than it seems. A rate that was too high at the start does that.",
        "Train again with a longer warmup and a lower rate "
        f"(training.warmup_steps={2 * f.warmup_steps}, training.lr={f.lr / 2:.1e}).",
        Action("again", {"training.warmup_steps": 2 * f.warmup_steps, **_rates(f.lr / 2)}),
    )


def _nothing_held_out(f: Findings) -> Verdict | None:
    if f.judged:
        return None
    held_out = f"{f.held_out_tokens:,} tokens were" if f.held_out_tokens else "Nothing was"
    takes = f", and a window of this model takes {f.least_held_out:,}" * (f.least_held_out > 1)
    return Verdict(
        "too little text to measure",
        f"{held_out} held out{takes}: whether it learned or remembers cannot be told. Its loss on "
        f"what it learned from is {f.train_loss:.3f}.",
        f"Give it more data, or hold out more of this: --set {f.hold_out}",
    )


def _never_ends(f: Findings) -> Verdict | None:
    if f.ended is None or f.ended >= 0.95:
        return None
    return Verdict(
        "answers that do not end",
        f"Only {f.ended:.0%} of its answers end by themselves: it writes on until it is stopped. "
        "The token that ends an answer is one of many that it learns, and is learned late.",
        f"Train on with --resume (training.steps={2 * f.steps}).",
        Action("resume", {"training.steps": 2 * f.steps}),
    )


def _too_small(f: Findings) -> Verdict | None:
    if f.passes < 5 or f.gap > 0.03 * f.val_loss or f.still_falling > 0.01 * f.val_loss:
        return None
    if f.right is not None and f.right > 0.95:
        return None  # it holds what there is
    return Verdict(
        "model too small",
        "The loss no longer falls, and it is the same on what it learned from "
        f"({f.train_loss:.3f}) and on what was held out ({f.val_loss:.3f}) although that was seen "
        f"{f.passes:.0f} times: {f.parameters / 1e6:.1f} million parameters hold no more of it.",
        *_more_room(f),
    )


def _more_room(f: Findings) -> tuple[str, Action | None]:
    """What to do about a model that is full."""
    if f.stands_on is not None:
        more = "let more of it change (a higher method.rank, or method.name=full), or " * f.adapted
        return f"Train again: {more}give it a larger base.", None
    return (
        "Train a larger model: half as many layers again, or a width half again as large.",
        Action("again", {"model.n_layers": f.n_layers + -(-f.n_layers // 2)}),
    )


def _repeats(f: Findings) -> Verdict | None:
    if f.repetition is None or f.text_repetition is None:
        return None
    if f.repetition < 0.3 or f.repetition < 2 * f.text_repetition:
        return None
    return Verdict(
        "repetition",
        f"{f.repetition:.0%} of what it writes repeats what it has just written "
        f"({f.text_repetition:.0%} in the text itself). Models that are sure too early do that.",
        "Sample with more freedom (--temperature 1.0 --top-p 0.95), or train on.",
        Action("generate", {"--temperature": 1.0, "--top-p": 0.95}),
    )


def _rates(lr: float) -> dict[str, float]:
    """A lower peak rate, and an end of the cosine that lies a hundredth below it."""
    return {"training.lr": lr, "training.min_lr": lr / 100}


def _rounded(value: float) -> int:
    return max(256, round(value / 256) * 256)
