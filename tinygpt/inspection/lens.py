"""What each layer already believes: the last norm and the output projection on every stream.

The stream that layer l leaves is what all later layers add to; were the model cut there, its head
would read just this. Read so, early layers often name the token itself and later ones its
successor (nostalgebraist 2020, "interpreting GPT: the logit lens").

What it cannot show: the head was trained on the last stream alone. An early layer may well know
more than the head can read of it, written in directions that later layers turn.

Read next: account.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad import Tensor, ops
from minigrad.nn import evaluating
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


def lens(model: Transformer | EncoderDecoder, seen: Seen, k: int = 10) -> Lens:
    """The k likeliest tokens of every row and position.  seen: of `watch` on this model."""
    final, k = seen.logits.argmax(axis=-1), min(k, seen.logits.shape[-1])
    tokens, probabilities, entropy, rank = [], [], [], []
    for row in range(len(seen.layers) + 1):
        logits = lens_logits(model, seen, row)
        top = likeliest(logits, k)
        p = ops.softmax(exact(logits)).data
        tokens.append(top)
        probabilities.append(np.take_along_axis(p, top, axis=-1))
        entropy.append(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1))
        own = np.take_along_axis(logits, final[:, None], axis=-1)
        rank.append((logits > own).sum(axis=-1))
    return Lens(np.stack(tokens), np.stack(probabilities), np.stack(entropy), np.stack(rank))


def exact(logits: np.ndarray) -> Tensor:
    """The same in float64."""
    return Tensor(logits.astype(np.float64))


def likeliest(logits: np.ndarray, k: int) -> np.ndarray:
    """The ids of the k largest of each row, largest first, ties by id: (..., V) -> (..., k)."""
    some = np.argpartition(-logits, min(k, logits.shape[-1] - 1), axis=-1)[..., :k]
    some.sort(axis=-1)
    order = np.argsort(-np.take_along_axis(logits, some, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(some, order, axis=-1)
