"""Turning texts into others with an encoder-decoder, many at once.

    translate(model, tokenizer, ["four hundred and seven", "407"])

Read next: generate.py, which draws the tokens, and prompt.py, where a text is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.nn import evaluating
from tinygpt.inference.generate import generate_batch
from tinygpt.inference.prompt import marks, read_sources
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.model import EncoderDecoder
from tinygpt.tokenizer import Tokenizer

BATCH = 64  # texts at once


def translate(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    sampling: Sampling = GREEDY,
    rng: np.random.Generator | None = None,
) -> list[str]:
    """What each text becomes, in their order.

    sampling: the likeliest tokens, if not given.  rng: None is a generator seeded by 0.
    Texts of similar length are read together; none becomes longer than the context.
    Raises PromptError and TokenizerError for texts that the model cannot read.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    found = [""] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        written = _translate(model, tokenizer, [texts[i] for i in rows], sampling, rng)
        for row, text in zip(rows, written, strict=True):
            found[row] = text
    return found


def _translate(
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    sampling: Sampling,
    rng: np.random.Generator,
) -> list[str]:
    """One batch: all rows are written until the last has ended."""
    end, first = marks(tokenizer)
    with evaluating(model):
        reading = read_sources(model, tokenizer, texts)
    start, columns = np.full((len(texts), 1), first), []
    ended = np.zeros(len(texts), bool)
    for drawn in generate_batch(
        reading, start, max_tokens=model.shape.context, sampling=sampling, rng=rng
    ):
        columns.append(drawn)
        ended |= drawn == end
        if ended.all():
            break
    return [_text(tokenizer, row, end) for row in np.stack(columns, axis=1)]


def _text(tokenizer: Tokenizer, ids: np.ndarray, end: int) -> str:
    """The text up to the first end, or all of it."""
    ends = np.flatnonzero(ids == end)
    return tokenizer.decode(ids[: ends[0]] if len(ends) else ids)
