"""How sure a model was at each position, and what else it held possible.

Read next: lens.py, which asks the same of every layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.ops.softmax_summary import softmax_summary
from tinygpt.inference.sampling import Sampling, probabilities
from tinygpt.inspection.lens import probabilities_of
from tinygpt.inspection.watch import Seen

PLAIN = Sampling()  # the model's own distribution


@dataclass(frozen=True)
class Candidates:
    """The likeliest tokens of each row of logits, with what drawing makes of them.

    tokens: (T, k).  before: their probabilities as the model has them.  after: as they are drawn,
    0 where a filter left one out.
    """

    tokens: np.ndarray
    before: np.ndarray
    after: np.ndarray


def losses(seen: Seen) -> np.ndarray:
    """(T,) float64 nats: of each token given those before it; nan for the first, which has none."""
    logits = seen.logits[:-1]
    came = np.take_along_axis(logits, seen.ids[1:, None], axis=-1)[:, 0]
    return np.concatenate([[np.nan], softmax_summary(logits, seen.ids[1:], 1).lse - came])


def candidates(logits: np.ndarray, sampling: Sampling = PLAIN, k: int = 10) -> Candidates:
    """logits: (T, V).  sampling: how one would be drawn; temperature 0 takes the first."""
    found = softmax_summary(logits, np.zeros(len(logits), np.int64), min(k, logits.shape[-1]))
    top, before = found.top, probabilities_of(logits, found)
    if sampling == PLAIN:
        after = before.copy()
    elif sampling.temperature == 0:
        after = np.zeros_like(before)
        after[:, 0] = 1
    else:
        after = np.take_along_axis(probabilities(logits, sampling), top, axis=-1)
    return Candidates(top, before, after)
