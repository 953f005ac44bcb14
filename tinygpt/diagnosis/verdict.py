"""From measurements of a trained model to one paragraph: what is wrong, and one thing to do.

The rules are tried in order of how surely they explain the rest: a rate that is too high makes
every other number meaningless, overfitting makes "train longer" the wrong advice, and so on. They
are rules of thumb, each with its number beside it, not laws.

Read next: measure.py, which measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Findings:
    """What measure.py measured.  Losses are in nats per token; shares are in 0..1.

    val_loss, train_loss: now, on held-out and on training text.  best_val_loss, best_step: of the
    evaluations on the way.  uniform, unigram, bigram: losses of models without a network.
    still_falling: by how much the held-out loss fell over the last fifth of training.
    rose: by how much the smoothed training loss lies above its lowest point.
    passes: how often the training text was seen.  skipped: steps thrown away.
    finite: all weights are numbers.  lr: peak rate, as far as rollbacks left it.
    rare_tokens: share of the vocabulary seen fewer than 20 times in the training text.
    repetition: share of a sample's 4-grams that had occurred in it before.  text_repetition: the
    same of the training text.
    copying: share of a sample that stands word for word in the training text.
    dead_units: share of hidden units that never answer.  update_ratio: |change| / |weight| of a
    step at the peak rate, median over matrices.  clipped: share of steps whose gradient was cut.
    held_out_tokens: where they are fewer than a window of training takes, nothing held out was
    measured: val_loss is train_loss, and the other models are judged on the training text too.
    run: its folder.
    """

    step: int
    steps: int
    parameters: int
    train_tokens: int
    val_loss: float
    train_loss: float
    best_val_loss: float
    best_step: int
    uniform: float
    unigram: float
    bigram: float
    still_falling: float
    rose: float
    passes: float
    skipped: int
    rollbacks: int
    rare_tokens: float
    repetition: float
    copying: float
    dead_units: float
    update_ratio: float
    clipped: float
    lr: float
    finite: bool
    vocab_size: int
    text_repetition: float
    n_layers: int = 4
    warmup_steps: int = 100
    held_out_tokens: int = 1
    window: int = 1

    @property
    def judged(self) -> bool:
        """Was enough held out to tell learning from remembering?"""
        return self.held_out_tokens >= self.window

    @property
    def gap(self) -> float:
        """Held-out loss above training loss, nats per token."""
        return self.val_loss - self.train_loss


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
        _too_few_steps, _dead, _nothing_held_out, _too_small, _repeats,
    ):
        verdict = rule(f)
        if verdict is not None:
            return verdict
    return Verdict(
        "healthy",
        f"The held-out loss {f.val_loss:.3f} is well below the bigram's {f.bigram:.3f}, training "
        f"and held-out text are {f.gap:.3f} apart, and nothing that was measured is out of place.",
        "For a lower loss give it more of everything: more text, more steps, then a larger model.",
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
    if f.vocab_size > 1:
        return None
    return Verdict(
        "nothing to learn",
        "The text is made of a single symbol, and whoever knows that knows all of it.",
        "Give it a text with more than one.",
    )


def _rate_too_high(f: Findings) -> Verdict | None:
    shaky = f.rollbacks > 0 or f.skipped > 0.02 * max(f.step, 1)
    stuck = f.step >= 200 and f.val_loss > f.unigram - 0.02
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
        signs.append(f"after {f.step} steps the loss is still that of mere frequencies")
    if f.update_ratio > 0.01:
        signs.append(f"a step changes the weights by {f.update_ratio:.1%} (0.1 % is usual)")
    return Verdict(
        "rate too high",
        "The steps overshoot: " + ", and ".join(signs) + ".",
        f"Train again with a lower rate (training.lr={f.lr / 4:.1e}).",
        Action("again", _rates(f.lr / 4)),
    )


def _nothing_learned(f: Findings) -> Verdict | None:
    if f.val_loss < f.unigram - 0.02:
        return None
    if f.step < f.steps or f.step < 200:
        return Verdict(
            "too few steps",
            f"After {f.step} steps the loss {f.val_loss:.3f} is no better than knowing how often "
            f"each token occurs ({f.unigram:.3f}); that is the first thing any model learns.",
            f"Train on with --resume (training.steps={max(2000, 5 * f.step)}).",
            Action("resume", {"training.steps": max(2000, 5 * f.step)}),
        )
    return Verdict(
        "nothing to learn, or a rate too low",
        f"After {f.step} steps the loss {f.val_loss:.3f} is that of mere frequencies "
        f"({f.unigram:.3f}). Either the order of tokens in this text is random, or the steps are "
        f"too small (they change the weights by {f.update_ratio:.2%}).",
        "Look at the text; if it is in order, train again with a higher rate "
        f"(training.lr={4 * f.lr:.1e}).",
        Action("again", {"training.lr": 4 * f.lr}),
    )


def _overfitting(f: Findings) -> Verdict | None:
    past_best = f.val_loss > 1.01 * f.best_val_loss and f.best_step < 0.9 * f.step
    if not (f.gap > 0.12 * f.val_loss and (past_best or f.gap > 0.3 * f.val_loss)):
        return None
    copied = f" and {f.copying:.0%} of what it writes stands word for word in the text" * (
        f.copying > 0.3
    )
    best = f"The best was {f.best_val_loss:.3f} at step {f.best_step}. " * past_best
    return Verdict(
        "overfitting",
        f"It knows its training text by heart: loss {f.train_loss:.3f} there and {f.val_loss:.3f} "
        f"on text it has not seen{copied}. {best}The text was seen {f.passes:.0f} times by "
        f"{f.parameters / 1e6:.1f} million parameters.",
        "Give it more text; if there is no more, train again with dropout, or a smaller model, or "
        f"stop at step {f.best_step}.",
        Action("again", {"model.dropout": 0.2}),
    )


def _tokenizer_too_large(f: Findings) -> Verdict | None:
    if f.rare_tokens < 0.5 or f.vocab_size < 300:
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
    early = f.val_loss > f.bigram and f.passes < 20
    if f.step < f.steps:
        reason = f"Training stopped at step {f.step} of {f.steps}"
    elif falling:
        reason = f"The loss was still falling ({f.still_falling:.3f} over the last fifth)"
    else:
        reason = f"The text was seen only {f.passes:.1f} times"
    if not (falling or early):
        return None
    bigram = (
        f", and {f.val_loss:.3f} is not yet below what a table of pairs reaches ({f.bigram:.3f})"
        if f.val_loss > f.bigram
        else ""
    )
    goal = f.steps if f.step < f.steps else 2 * f.steps
    change, more = ({}, "") if goal == f.steps else (
        {"training.steps": goal}, f" (training.steps={goal})"
    )
    return Verdict(
        "too few steps", f"{reason}{bigram}.", f"Train on with --resume{more}.",
        Action("resume", change),
    )


def _dead(f: Findings) -> Verdict | None:
    if f.dead_units < 0.3:
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
    return Verdict(
        "too little text to measure",
        f"{f.held_out_tokens:,} tokens were held out, and a window of this model takes "
        f"{f.window:,}: whether it learned or remembers cannot be told. Its loss on the training "
        f"text is {f.train_loss:.3f}.",
        "Give it more text, or hold out more of this one: --set data.split=0.8,0.2,0",
    )


def _too_small(f: Findings) -> Verdict | None:
    if f.passes < 5 or f.gap > 0.03 * f.val_loss or f.still_falling > 0.01 * f.val_loss:
        return None
    return Verdict(
        "model too small",
        f"The loss no longer falls, and it is the same on training text ({f.train_loss:.3f}) and "
        f"on held-out text ({f.val_loss:.3f}) although the text was seen {f.passes:.0f} times: "
        f"{f.parameters / 1e6:.1f} million parameters hold no more of it.",
        "Train a larger model: half as many layers again, or a width half again as large.",
        Action("again", {"model.n_layers": f.n_layers + -(-f.n_layers // 2)}),
    )


def _repeats(f: Findings) -> Verdict | None:
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
