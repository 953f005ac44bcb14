"""`--minutes` of `tinygpt train`: a training that is over, evaluated and saved, when they are.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import time

import click

SAVING = 1.5  # seconds kept for the last checkpoint and the report
TRIAL = 3.0  # seconds of trial steps at most, and a fiftieth of all at most


class Minutes:
    """One training by the clock.

    minutes: from now.  config: a configuration's name, None for the dial.
    overrides: "section.key=value" texts.
    """

    def __init__(self, minutes, config, overrides):
        self.end = time.monotonic() + 60 * minutes
        self.trial = min(TRIAL, 60 * minutes / 50)
        self.config, self.overrides = config, overrides
        self.deadline = self._text = self._choice = None

    @property
    def left(self):
        """Seconds until the end."""
        return self.end - time.monotonic()

    def choose(self, source, busy):
        """The dial: a configuration for the text `source`, a path or a corpus's name."""
        from tinygpt.config import from_dict, override
        from tinygpt.planning import dial
        from tinygpt.text import load_corpus

        data = from_dict(override({"data": {"source": source}}, self.overrides))
        corpus = load_corpus(
            source, seed=data.training.seed, stories_mb=data.data.stories_mb,
            errors=data.data.errors,
        )
        self._text = dial.look_at(corpus)
        busy("trying how fast this machine is")
        speed = dial.speed_here(self.trial)
        self._choice = dial.choose(
            self._text, self.left - self.trial - SAVING, speed, self.overrides, source
        )
        return self._choice.config

    def settle(self, objective, say):
        """An objective whose data is there, with its steps; sets the deadline."""
        from tinygpt.planning import dial
        from tinygpt.screens import dial as lines
        from tinygpt.training.deadline import Deadline

        by_hand = [key.partition(".")[2] for key in _keys(self.overrides, "training.")]
        bounded = self._choice is not None and not self._choice.whole
        if not bounded:
            objective = objective.with_training(steps=dial.MOST)
        timed = dial.within(objective, self.left - SAVING, self.trial, by_hand)
        recipe = timed.objective.config.training
        self.deadline = Deadline(
            self.end - SAVING - timed.last, recipe.steps if bounded else None
        )
        if self._choice is not None:
            say(lines.text_line(self._text, timed))
            say(lines.model_line(timed, self._choice.bits))
        steps = recipe.steps * timed.step + timed.last + SAVING
        say(lines.training_line(timed, min(steps, self.left) if bounded else self.left))
        return timed.objective


def _keys(overrides, beginning):
    keys = (text.partition("=")[0].strip() for text in overrides)
    return [key for key in keys if key.startswith(beginning)]


def check(minutes, config, source, overrides, go_on):
    """Raise a usage error for --minutes that cannot be, or beside what contradicts it."""
    from tinygpt.text.files import is_stream

    if not 0 < minutes < float("inf"):
        raise click.BadParameter(f"{minutes} must be a number above 0", param_hint="--minutes")
    if go_on:
        raise click.UsageError(
            "--minutes chooses what a new run will be, and --resume goes on with one that is "
            "chosen. Leave --minutes out; --max-hours stops a run at a time."
        )
    if config is not None and "training.steps" in _keys(overrides, "training."):
        raise click.UsageError(
            f"--minutes and training.steps both say how long {config} is trained. Give one of them."
        )
    if config is None and source is not None and is_stream(source):
        raise click.UsageError(
            "--minutes looks at the text before it learns from it, and a pipe can be read once. "
            "Save the text as a file, or name a configuration."
        )
