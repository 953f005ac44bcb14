"""What a loss is worth: the cross entropy of three models that learn nothing deep.

    uniform   every token is as likely as any other: log V
    unigram   tokens by how often they occur
    bigram    tokens by how often they follow the one before

All are fitted on the training tokens and judged on the validation tokens, in nats per token, like
a GPT's loss. A network that does not beat the bigram has learned less than a table of pairs.

Counts alone would give an unseen token probability zero and an infinite loss, so the unigram adds
one to every count, and the bigram counts k imagined tokens of the unigram after each token
(a Dirichlet prior, MacKay and Peto 1995); k is the best of a few on the last tenth of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MAX_TOKENS = 4_000_000  # counting pairs of more takes seconds and changes little
Ids = Sequence[int] | np.ndarray
RARE = 20  # occurrences below which a token cannot be learned well
PRIORS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


class Baselines(NamedTuple):
    """Cross entropy in nats per token."""

    uniform: float
    unigram: float
    bigram: float


def baselines(train: Ids, validation: Ids, vocab_size: int) -> Baselines:
    """Fit on `train`, judge on `validation` (at most MAX_TOKENS of each, from the start).

    Judging takes two tokens: with fewer, unigram and bigram are nan.
    """
    uniform = float(np.log(vocab_size))
    if len(validation) < 2:
        return Baselines(uniform, float("nan"), float("nan"))
    fit = np.asarray(train[:MAX_TOKENS], np.int64)
    held = np.asarray(validation[:MAX_TOKENS], np.int64)
    last_tenth = len(fit) - len(fit) // 10
    k = min(
        PRIORS, key=lambda prior: _bigram(fit[:last_tenth], fit[last_tenth:], vocab_size, prior)
    )
    unigram = by_frequency(fit, held[1:], vocab_size)
    return Baselines(uniform, unigram, _bigram(fit, held, vocab_size, k))


def by_frequency(fit: Ids, held: Ids, size: int) -> float:
    """Cross entropy on `held` of how often each of `size` answers occurs in `fit`."""
    probability = _unigram(np.asarray(fit, np.int64), size)
    return -float(np.log(probability)[np.asarray(held, np.int64)].mean())


def rare_share(tokens: Ids, vocab_size: int) -> float:
    """Share of the vocabulary that occurs less often than it takes to be learned well."""
    counts = np.bincount(np.asarray(tokens[:MAX_TOKENS]), minlength=vocab_size)
    return float(np.mean(counts < RARE))


def _unigram(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """Add-one smoothed probabilities, (V,) float64."""
    counts = np.bincount(tokens, minlength=vocab_size) + 1.0
    return counts / counts.sum()


def _bigram(fit: np.ndarray, held: np.ndarray, vocab_size: int, k: float) -> float:
    """Cross entropy of p(b | a) = (count(a, b) + k p(b)) / (count(a) + k) on `held`."""
    if len(held) < 2:
        return float("nan")  # a last tenth of next to nothing
    prior = _unigram(fit, vocab_size)
    pairs, counts = np.unique(fit[:-1] * vocab_size + fit[1:], return_counts=True)
    before = np.bincount(fit[:-1], minlength=vocab_size)
    pairs, counts = np.append(pairs, -1), np.append(counts, 0)  # where a pair is that never was
    asked = held[:-1] * vocab_size + held[1:]
    place = np.searchsorted(pairs[:-1], asked)
    seen = np.where(pairs[place] == asked, counts[place], 0)
    probability = (seen + k * prior[held[1:]]) / (before[held[:-1]] + k)
    return -float(np.log(probability).mean())
