"""What quantization costs: how far a model's predictions moved on text it has not seen.

    perplexity   exp(mean negative log likelihood): the number everybody quotes; noisy
    agreement    share of positions where both models think the same token likeliest
    KL           mean over positions of sum_v p_v log(p_v / q_v), p before, q after, in nats: the
                 most sensitive of the three, for it sees changes that cancel in the perplexity

Read next: ../weights/quantized.py (what is saved).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinygpt.compression.calibration import WINDOW
from tinygpt.compression.quantize import only_quantized
from tinygpt.data import evaluation_batches
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.scoring import check_measurable, log_probabilities
from tinygpt.model import LanguageModel
from tinygpt.weights.quantized import quantizable

LOGITS_AT_ONCE = 4_000_000  # 16 MB of them
SWEEP_TOKENS = 4_000  # each module alone is measured on this many at most


@dataclass(frozen=True)
class Quality:
    """Two models on the same tokens; perplexities per token, KL in nats."""

    tokens: int
    perplexity_before: float
    perplexity_after: float
    agreement: float
    kl: float

    @property
    def perplexity_change(self) -> float:
        """Relative: 0.005 is half a percent worse."""
        return self.perplexity_after / self.perplexity_before - 1


class Reference:
    """The unquantized model's log probabilities on held-out text, kept to compare many with.

    Bytes: 4 tokens V (B: 16 kB a token), so `tokens` bounds them.
    """

    def __init__(self, model: LanguageModel, tokens: Sequence[int], limit: int):
        """Raises DataError for fewer than two tokens."""
        self._batches = list(_windows(model, tokens, limit))
        self._log_p = [log_probabilities(model, x) for x, _ in self._batches]

    def compare(self, model: LanguageModel) -> Quality:
        """Measure `model` against the reference."""
        found = _Sums()
        for (x, y), log_p in zip(self._batches, self._log_p, strict=True):
            found.add(log_p, log_probabilities(model, x), y)
        return found.quality()


def compare(
    before: LanguageModel, after: LanguageModel, tokens: Sequence[int], limit: int
) -> Quality:
    """Two models once, batch by batch, so that nothing is kept.

    limit: look at about so many tokens.  Raises DataError for fewer than two.
    """
    found = _Sums()
    for x, y in _windows(before, tokens, limit):
        found.add(log_probabilities(before, x), log_probabilities(after, x), y)
    return found.quality()


def _windows(
    model: LanguageModel, tokens: Sequence[int], limit: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, targets), (B, T) each, of so few that their logits are small."""
    check_measurable(tokens)
    context = min(model.shape.context, WINDOW, len(tokens) - 1)
    batch = max(1, LOGITS_AT_ONCE // (context * model.shape.vocab_size))
    yield from evaluation_batches(tokens, batch, context, limit)


class _Sums:
    """What Quality holds the means of, over batches."""

    def __init__(self) -> None:
        self.count, self.same, self.nll_p, self.nll_q, self.kl = 0, 0, 0.0, 0.0, 0.0

    def add(self, log_p: np.ndarray, log_q: np.ndarray, targets: np.ndarray) -> None:
        """log_p, log_q: (R, V) before and after.  targets: R, what truly followed."""
        truth = targets.reshape(-1, 1)
        self.count += truth.size
        self.nll_p -= float(np.take_along_axis(log_p, truth, 1).sum(dtype=np.float64))
        self.nll_q -= float(np.take_along_axis(log_q, truth, 1).sum(dtype=np.float64))
        self.same += int((log_p.argmax(-1) == log_q.argmax(-1)).sum())
        self.kl += float((np.exp(log_p) * (log_p - log_q)).sum(dtype=np.float64))

    def quality(self) -> Quality:
        """The means."""
        count = self.count
        with np.errstate(over="ignore"):  # a model that is sure of the wrong token: infinity
            before, after = np.exp(np.array([self.nll_p, self.nll_q]) / count)
        return Quality(count, float(before), float(after), self.same / count, self.kl / count)


def sweep(
    model: LanguageModel, reference: Reference, scheme: str,
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> list[tuple[str, Quality]]:
    """Quantize one module at a time and measure: (name, quality), what hurts most first.

    tell: called as tell(modules done, modules in all) before each.
    """
    found: list[tuple[str, Quality]] = []
    names = list(quantizable(model))
    for name in names:
        tell(len(found), len(names))
        with only_quantized(model, name, scheme):
            found.append((name, reference.compare(model)))
    return sorted(found, key=lambda pair: pair[1].kl, reverse=True)


def decode_speeds(
    models: Sequence[LanguageModel], tokens: int = 64, rounds: int = 5
) -> list[float]:
    """Tokens/s of generation, batch 1: the best round of each, the models taking turns."""
    decoders = [Decoder(model) for model in models]
    best = [math.inf] * len(models)
    for _ in range(rounds):
        for i, decoder in enumerate(decoders):
            steps = max(1, min(tokens, decoder.context - 2))
            decoder.clear()
            token = decoder.feed(np.zeros((1, 1), dtype=np.int64)).argmax(axis=-1)
            start = time.perf_counter()
            for _ in range(steps):
                token = decoder.step(token).argmax(axis=-1)
            best[i] = min(best[i], (time.perf_counter() - start) / steps)
    return [1 / seconds for seconds in best]
