"""How well a model predicts text that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.nn import evaluating
from tinygpt.data import evaluation_batches
from tinygpt.model import LanguageModel
from tinygpt.text import DataError


def mean_loss(
    model: LanguageModel,
    tokens: Sequence[int] | np.ndarray,
    limit: int | None = None,
    batch_size: int = 16,
) -> float:
    """Mean cross entropy over a text, nats per token, dropout off; always the same windows.

    tokens: (N,) ids.  limit: look at about this many, spread over the text; None is all.
    Raises DataError for fewer than two tokens, UserError for a model that writes no text.
    """
    model.check_writes()
    check_measurable(tokens)
    total, count = 0.0, 0
    context = max(1, min(model.shape.context - model.before, len(tokens) - 1))
    with evaluating(model):
        for ids, targets in evaluation_batches(tokens, batch_size, context, limit):
            # The last batch has fewer rows: one by one, they need no buffers of yet another size.
            rows = len(ids) if len(ids) == batch_size else 1
            for i in range(0, len(ids), rows):
                part = targets[i : i + rows]
                total += part.size * model.loss(ids[i : i + rows], part).item()
                count += part.size
    return total / count


def check_measurable(tokens: Sequence[int] | np.ndarray) -> None:
    """Raise DataError for fewer than two tokens: one to go on from, one to be surprised at."""
    if len(tokens) < 2:
        raise DataError(
            f"too little text to measure: it has {len(tokens)} tokens, and two are the least. "
            "Give more text."
        )


def log_probabilities(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """(B, T) ids -> (B T, V) float32 log probabilities of each next token."""
    with evaluating(model):
        logits = model(ids).data
    logits = logits.reshape(-1, logits.shape[-1])
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
