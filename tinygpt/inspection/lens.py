"""What each layer already believes: the last norm and the output projection on every stream.

The stream that layer l leaves is what all later layers add to; were the model cut there, its head
would read just this. Read so, early layers often name the token itself and later ones its
successor (nostalgebraist 2020, "interpreting GPT: the logit lens").

What it cannot show: the head was trained on the last stream alone. An early layer may well know
more than the head can read of it, written in directions that later layers turn.

Read next: account.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigrad import Tensor
from minigrad.nn import evaluating
from minigrad.ops.softmax_summary import Summary, softmax_summary
from tinygpt.inspection.watch import Seen
from tinygpt.model import EncoderDecoder
from tinygpt.model.transformer import Transformer


@dataclass(frozen=True)
class Lens:
    """L + 1 rows: of what entered the first layer, then of what each layer left.

    tokens: (L + 1, T, k) int64, the likeliest, first first.  probabilities: theirs, float64.
    entropy: (L + 1, T) nats.  rank: (L + 1, T) int64, how many tokens that row has before the one
    that the last row puts first.
    """

    tokens: np.ndarray
    probabilities: np.ndarray
    entropy: np.ndarray
    rank: np.ndarray


def lens_logits(model: Transformer | EncoderDecoder, seen: Seen, row: int) -> np.ndarray:
    """(T, V) scores that the head reads out of one row; the last row's are the model's own."""
    if row == len(seen.layers):
        return seen.logits
    stream = Tensor(seen.start if row == 0 else seen.layers[row - 1].stream)
    stack = model.decoder if isinstance(model, EncoderDecoder) else model
    with evaluating(model):
        hidden = stream if model.shape.norm_place == "post" else stack.norm(stream)
        return model.head(hidden).data


def lens(
    model: Transformer | EncoderDecoder, seen: Seen, k: int = 10, rows: Sequence[int] | None = None
) -> Lens:
    """The k likeliest tokens of every row and position.  seen: of `watch` on this model.

    rows: those that are read, in this order; each costs a whole output projection.
    """
    final, k = seen.logits.argmax(axis=-1), min(k, seen.logits.shape[-1])
    tokens, probabilities, entropy, rank = [], [], [], []
    for row in range(len(seen.layers) + 1) if rows is None else rows:
        logits = lens_logits(model, seen, row)
        found = softmax_summary(logits, final, k)
        tokens.append(found.top)
        probabilities.append(probabilities_of(logits, found))
        entropy.append(found.entropy)
        rank.append(found.before)
    return Lens(np.stack(tokens), np.stack(probabilities), np.stack(entropy), np.stack(rank))


def probabilities_of(logits: np.ndarray, found: Summary) -> np.ndarray:
    """p_j = e^(x_j) / Z of the likeliest of each row: logits (T, V) -> (T, k) float64."""
    chosen = np.take_along_axis(logits, found.top, axis=-1).astype(np.float64)
    return np.exp(chosen - found.lse[:, None])
