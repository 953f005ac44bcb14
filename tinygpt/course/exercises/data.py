"""Data: what is held out of a text, windows of it, and what a loss is held against."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygpt.course.draw import Draw
from tinygpt.course.exercise import Exercise, Holds, mistake
from tinygpt.course.exercises.work import gpt_losses


def _sizes(draw: Draw) -> tuple[Any, ...]:
    sizes = [draw.integer(0, 12) for _ in range(draw.integer(1, 4))]
    sizes[0] += 1
    fractions = ((0.8, 0.1, 0.1), (0.9, 0.1, 0.0), (0.5, 0.25, 0.25), (0.7, 0.2, 0.1))
    return sizes, draw.choice(fractions)


def _every_character_once(f: Any, sizes: list[int], fractions: Any) -> bool:
    for size, parts in zip(sizes, f(sizes, fractions), strict=True):
        if sorted(i for _, a, b in parts for i in range(a, b)) != list(range(size)):
            return False
    return True


SPLIT = Exercise(
    name="split", title="What is held out", kind="write",
    target="tinygpt.text.split:_by_position", chapter="splits.md", minutes=25,
    hints=(
        "All documents lie one behind the other: splits are three stretches of that line. Their "
        "edges are cumulative sums of the fractions, times the total.",
        "For each document and split, the overlap of two stretches: from the larger beginning to "
        "the "
        "smaller end.",
        "Parts are counted from the document's own beginning; an empty one is left out. 0.8 + 0.1 "
        "is "
        "0.8999...: round(12) before int.",
    ),
    call=_sizes, inputs=150,
    holds=(Holds("every character is in one split, and in one only", _every_character_once),),
    mistakes=(
        mistake("the fractions are not added up",
                "The second edge lies at train + validation.",
                "np.cumsum(fractions)[:-1].round(12)", "np.array(fractions)[:-1]"),
        mistake("an edge falls one short by rounding",
                "0.8 + 0.1 is 0.8999999999999999, and int cuts off.",
                "np.cumsum(fractions)[:-1].round(12)", "np.cumsum(fractions)[:-1] - 1e-9"),
        mistake("places are counted from the beginning of all text",
                "A part says where in its own document it lies.",
                "(name, first - start, last - start)", "(name, first, last)"),
        mistake("empty parts are listed",
                "A split that has nothing of a document is left out.",
                "if first < last:", "if first <= last:"),
        mistake("every document begins at 0",
                "They lie one behind the other.",
                "        start += size\n", ""),
        mistake("one character is in two splits",
                "Where one split ends the next begins. What is shared is remembered, not learned.",
                "max(low, start)", "max(low - 1, start)"),
        mistake("the beginning is held out",
                "The end is held out: test last.",
                "zip(SPLITS, edges", "zip(SPLITS[::-1], edges"),
    ),
)


def _starts(draw: Draw) -> tuple[Any, ...]:
    context = draw.integer(1, 4)
    tokens = draw.ids((context + 1 + draw.integer(0, 6),), 9)
    return tokens, context, draw.ids((draw.integer(1, 3),), len(tokens) - context)


def _windows(f: Any, tokens: np.ndarray, context: int, starts: np.ndarray) -> Any:
    from tinygpt.data.batches import BatchLoader

    loader = object.__new__(BatchLoader)
    loader.tokens, loader.context = tokens, context
    x, y = f(loader, starts)
    return {"x": x, "y": y, "whole": x.flags.c_contiguous and y.flags.c_contiguous}


WINDOWS = Exercise(
    name="windows", title="Questions and answers from a text", kind="write",
    target="tinygpt.data.batches:BatchLoader.windows", chapter="splits.md", minutes=15,
    hints=(
        "A window of T + 1 tokens holds T questions: after each of the first T comes the next.",
        "Gather windows (B, T + 1), int64: self.tokens[start : start + T + 1] for each start. "
        "T is self.context.",
        "x is all but the last column, y all but the first; each a copy of its own.",
    ),
    call=_starts, run=_windows, shown="loader.windows({2})  # tokens {0}, context {1}",
    holds=(
        Holds("y is x, one token later",
              lambda f, *a: bool(np.array_equal(_windows(f, *a)["x"][:, 1:],
                                                _windows(f, *a)["y"][:, :-1]))),
    ),
    joins=gpt_losses(), joined="20 steps of a small GPT", inputs=80,
    mistakes=(
        mistake("the answer is the question",
                "y must be one token later, or the model learns to copy: the loss falls to 0 and "
                "nothing is learned.",
                "windows[:, 1:].copy()", "windows[:, :-1].copy()"),
        mistake("questions and answers are exchanged",
                "x comes first: what is read, then what follows.",
                "windows[:, :-1].copy(), windows[:, 1:].copy()",
                "windows[:, 1:].copy(), windows[:, :-1].copy()"),
        mistake("the window is one token short",
                "T questions take T + 1 tokens.",
                "T + 1), np.int64", "T), np.int64", "start + T + 1", "start + T"),
        mistake("the last answer is taken from the window's beginning",
                "np.roll wraps around: the last answer is the token behind the window.",
                "windows[:, 1:].copy()", "np.roll(windows[:, :-1], -1, axis=1)"),
        mistake("ids are int32", "A batch's ids are int64 everywhere.", "np.int64", "np.int32"),
        mistake("all rows begin at the same place",
                "Each row has a start of its own.",
                "starts.tolist()", "[int(starts[0])] * len(starts)"),
        mistake("windows begin one token late",
                "A window begins at its start.",
                "self.tokens[start : start + T + 1]", "self.tokens[start + 1 : start + T + 2]"),
    ),
)


def _counted(draw: Draw) -> tuple[Any, ...]:
    size = draw.integer(2, 4)
    fit = draw.ids((draw.integer(2, 12),), size)
    return fit, draw.ids((draw.integer(1, 8),), size), size, draw.choice((1.0, 3.0, 0.5))


BIGRAM = Exercise(
    name="bigram", title="What a table of pairs would lose", kind="write",
    target="tinygpt.data.baselines:_bigram", chapter="splits.md", minutes=40,
    after=("losses", "windows"),
    hints=(
        "p(b | a) = (count(a, b) + k p(b)) / (count(a) + k): p(b) from _unigram(fit, V), count(a) "
        "of "
        "tokens that have a successor in fit.",
        "A table (V, V) with np.add.at counts pairs; for a large V one number a V + b for each "
        "pair "
        "and np.unique is smaller.",
        "The loss is the mean of -log p over the pairs of `held`; nan if it has no pair.",
    ),
    call=_counted, inputs=120,
    mistakes=(
        mistake("unseen pairs get a uniform share",
                "The k imagined tokens are dealt out as tokens are: k p(b).",
                "k * prior[held[1:]])", "k / vocab_size)"),
        mistake("the imagined tokens are missing below",
                "Probabilities sum to 1 only if k is added to count(a) too.",
                "(before[held[:-1]] + k)", "before[held[:-1]]"),
        mistake("it asks for the token before, not the one after",
                "a comes first: the pair is a V + b.",
                "asked = held[:-1] * vocab_size + held[1:]",
                "asked = held[1:] * vocab_size + held[:-1]"),
        mistake("the sign is turned round",
                "log p is negative; a loss is minus that.",
                "return -float(np.log", "return float(np.log"),
        mistake("the losses are summed", "Nats per token: the mean.",
                "np.log(probability).mean()", "np.log(probability).sum()"),
        mistake("it counts in bits", "Natural logarithms: nats.",
                "np.log(probability)", "np.log2(probability)"),
        mistake("the logarithm of the mean in place of the mean of the logarithms",
                "Losses are averaged, not probabilities.",
                "np.log(probability).mean()", "np.log(probability.mean())"),
        mistake("the last token counts as if it had a successor",
                "count(a) is how often something followed a.",
                "before = np.bincount(fit[:-1], ", "before = np.bincount(fit, "),
        mistake("the prior is that of the token before",
                "p(b) is how common the token is that is asked for.",
                "prior[held[1:]]", "prior[held[:-1]]"),
    ),
)


EXERCISES = (SPLIT, WINDOWS, BIGRAM)
