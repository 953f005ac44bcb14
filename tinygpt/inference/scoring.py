"""Loss on text that the model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

from minigrad import no_grad
from tinygpt.data import evaluation_batches
from tinygpt.model import GPT


def evaluate(
    model: GPT, tokens: Sequence[int], limit: int | None = None, batch_size: int = 16
) -> float:
    """Mean cross entropy over a split, nats per token, dropout off; always the same windows.

    tokens: (N,) ids.  limit: look at about this many, spread over the split; None is all.
    Raises DataError for a split shorter than the model's context.
    """
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with no_grad():
        for ids, targets in evaluation_batches(tokens, batch_size, model.config.context, limit):
            # The last batch has fewer rows: one by one, they need no buffers of yet another size.
            rows = len(ids) if len(ids) == batch_size else 1
            for i in range(0, len(ids), rows):
                part = targets[i : i + rows]
                total += part.size * model.loss(ids[i : i + rows], part).item()
                count += part.size
    model.train(was_training)
    return total / count
