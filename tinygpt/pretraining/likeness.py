"""How like its text a model writes: does it repeat itself, does it copy?

Read next: ../diagnosis/verdict.py, which judges the shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygpt.inference.generate import generate_batch
from tinygpt.model import LanguageModel
from tinygpt.tokenizer import Tokenizer

SAMPLES, LENGTH = 8, 200  # texts written, tokens each
KNOWN = 2_000_000  # tokens of the text in which copies are looked for
COPY = 48  # characters that must match to count as copied


def likeness(
    model: LanguageModel, tokenizer: Tokenizer, text: Sequence[int]
) -> dict[str, float]:
    """Repetition in samples and in the text itself, and how much of a sample is copied."""
    rng = np.random.default_rng(0)
    length = min(LENGTH, 4 * model.shape.context)
    # Two tokens of the text and as many after them as are written; a short text begins at 0.
    starts = rng.integers(0, max(1, len(text) - length - 2), SAMPLES)
    prompts = np.stack([text[s : s + 2] for s in starts]).astype(np.int64)
    drawn = np.stack(list(generate_batch(model, prompts, max_tokens=length, rng=rng)), axis=1)
    texts = [tokenizer.decode(row) for row in drawn]
    own = [tokenizer.decode(np.asarray(text[s : s + length])) for s in starts]
    known = tokenizer.decode(np.asarray(text[:KNOWN]))
    return {
        "repetition": float(np.mean([repetition(written.split()) for written in texts])),
        "text_repetition": float(np.mean([repetition(stretch.split()) for stretch in own])),
        "copying": float(np.mean([copied_share(written, known) for written in texts])),
    }


def repetition(items: Sequence[Any], n: int = 4) -> float:
    """Share of the n-grams of `items` that occurred before in it; 0 for fewer than n."""
    grams = [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def copied_share(text: str, known: str, length: int = COPY) -> float:
    """Share of `text` covered by stretches of `length` characters that stand in `known`."""
    if len(text) < length:
        return 0.0
    covered = np.zeros(len(text), bool)
    step = length // 4
    for i in range(0, len(text) - length + 1, step):
        if text[i : i + length] in known:
            covered[i : i + length] = True
    return float(covered.mean())
