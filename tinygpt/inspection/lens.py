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
from minigrad.ops.softmax import softmax
from tinygpt.inspection.watch import Seen
from tinygpt.model import EncoderDecoder
from tinygpt.model.transformer import Transformer

BLOCK = 64  # scores whose maximum stands for them


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
        top = likeliest(logits, k)
        own = np.take_along_axis(logits, final[:, None], axis=-1)
        p, total = softened(logits)
        tokens.append(top)
        probabilities.append(np.take_along_axis(p, top, axis=-1).astype(np.float64))
        mass = p.sum(axis=-1)  # pairwise, as NumPy sums a row: one sum of 49,152 would lose 3e-4
        p *= logits
        entropy.append(total - p.sum(axis=-1) / mass)  # -sum of p_i (x_i - ln Z)
        rank.append(np.array([np.count_nonzero(one) for one in logits > own]))
    return Lens(np.stack(tokens), np.stack(probabilities), np.stack(entropy), np.stack(rank))


def softened(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a softmax, p_i = e^(x_i) / Z: p (T, V) float32, and ln Z (T,) float64.

    The largest score's own probability is e^max / Z, so ln Z needs no second sum.
    """
    p = softmax(Tensor(logits)).data
    return p, logits.max(axis=-1) - np.log(p.max(axis=-1), dtype=np.float64)


def likeliest(logits: np.ndarray, k: int) -> np.ndarray:
    """The ids of the k largest of each row, largest first, ties by id: (..., V) -> (..., k).

    The k-th largest of many maxima is not above the k-th largest: what is below it is not sorted.
    """
    V = logits.shape[-1]
    rows, count = logits.reshape(-1, V), V // BLOCK
    whole = count * BLOCK  # a block is every count-th score: maxima of whole vectors, side by side
    blocks = rows[:, :whole].reshape(len(rows), BLOCK, count)
    maxima = np.concatenate([blocks.max(axis=1), rows[:, whole:]], axis=-1)
    if maxima.shape[1] < k:
        maxima = rows
    least = np.partition(maxima, -k, axis=-1)[:, -k]
    row, among = np.divmod(np.flatnonzero(rows >= least[:, None]), V)
    order = np.lexsort((among, -rows[row, among], row))  # rows apart, then the largest, then by id
    first = np.searchsorted(row, np.arange(len(rows)))
    found = among[order[first[:, None] + np.arange(k)]]
    return found.reshape(*logits.shape[:-1], k)
