"""Stories of a small world, written by a seeded generator: the corpus that needs no download.

Each story has its own world (world.py) whose state the text keeps to: who has what, where things
and people are, what is open or broken. Plots (plots/) decide what happens, the teller (teller.py)
how it is said; some stories end with a question about the state, answered truthfully. The idea that
small models can learn real English from a small world's text is that of TinyStories (Eldan and Li
2023); nothing here is taken from it, all sentences are our own.

    >>> print(one_story(np.random.default_rng(0)).text)

Read first: words.py, world.py, teller.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import words
from .plots import PLOTS
from .scenes import closing_question, make_world, open_story
from .teller import Dice
from .world import World

__all__ = ["MAX_WORDS", "MIN_WORDS", "PLOTS", "Story", "generate", "one_story", "words"]

MIN_WORDS, MAX_WORDS = 60, 250


@dataclass(frozen=True)
class Story:
    """A story's text, the plot it follows, and the world as it is at the end (with its log)."""

    text: str
    plot: str
    world: World


def one_story(rng: np.random.Generator | Dice) -> Story:
    """One story of MIN_WORDS to MAX_WORDS words; the same generator state gives the same story."""
    dice = rng if isinstance(rng, Dice) else Dice(rng)
    while True:
        plot = dice.pick(PLOTS)
        teller = make_world(dice)
        open_story(teller)
        plot(teller)
        closing_question(teller)
        text = teller.text()
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            return Story(text, plot.__name__, teller.world)


def generate(size: int, rng: np.random.Generator) -> Iterator[str]:
    """Stories one after another until they hold at least `size` bytes of (ASCII) text.

    size: bytes, at least 1.  Raises ValueError for less.
    """
    if size < 1:
        raise ValueError(f"stories: size must be at least 1 byte, not {size}; give a larger one")
    dice = Dice(rng)
    while size > 0:
        text = one_story(dice).text
        size -= len(text) + 1
        yield text
