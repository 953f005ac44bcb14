"""How likely a model finds its answers: what every loss of this room is a function of.

    log pi(y | x) = sum over the tokens t of y of log pi(y_t | x, y_<t)

The tokens of a batch's answers stand in one row, (R,), one answer's after the other's, and `counts`
says how many each answer has. Padding has no place in that row, and no mask is needed.

Read next: dpo.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, ops
from tinygpt.finetuning.packing import IGNORE, AnswerBatch
from tinygpt.model import LanguageModel


def token_scores(model: LanguageModel, batch: AnswerBatch, temperature: float = 1.0) -> Tensor:
    """Log-probabilities of a batch's learned tokens, nats: (R,), row by row.

    temperature: the logits are divided by it, as they were when the tokens were drawn.
    Raises ValueError for one that a softcap does not let through.
    """
    return scores_of(model, *learned(model, batch), temperature)


def learned(model: LanguageModel, batch: AnswerBatch) -> tuple[Tensor, np.ndarray]:
    """(hidden vectors (R, C) at which learned tokens are predicted, those tokens (R,))."""
    if model.before:  # an adapter stands before one text a row
        x = model.hidden(batch.ids)
    else:
        x = model.hidden(batch.ids, starts=batch.starts)  # type: ignore[call-arg]  # a decoder
    targets = batch.targets.reshape(-1)
    asked = np.flatnonzero(targets != IGNORE)
    return x.reshape(-1, x.shape[-1])[asked], targets[asked]  # (B, T, C) -> (R, C)


def scores_of(
    model: LanguageModel, x: Tensor, targets: np.ndarray, temperature: float = 1.0
) -> Tensor:
    """Log-probabilities (R,) of the tokens that follow hidden vectors (R, C)."""
    softcap = model.shape.softcap
    if temperature != 1.0:
        if softcap is not None:
            raise ValueError("token_scores: a temperature does not go through a softcap")
        x = x * (1.0 / temperature)  # log softmax(x W^T / T)
    return ops.linear_log_probability(x, model.head_weight(), targets, softcap)


def counts_of(batch: AnswerBatch) -> np.ndarray:
    """(B,) learned tokens in each row."""
    return (batch.targets != IGNORE).sum(axis=1)


def sums(x: Tensor, counts: np.ndarray) -> Tensor:
    """The sum of each answer's tokens: x (R,), counts (S,) of sum R, each above 0 -> (S,)."""
    starts = np.cumsum(counts) - counts
    total = np.add.reduceat(x.data, starts)

    def backward(dy: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.repeat(dy, counts),)

    return Tensor(total, (x,), backward)


def constant(values: Any, like: Tensor) -> Tensor:
    """Values as a Tensor of `like`'s dtype that no gradient reaches."""
    return Tensor(np.asarray(values, like.dtype))
