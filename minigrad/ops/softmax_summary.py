"""What is told of a softmax without writing it: kernels/numpy_ref/softmax_summary.py.

Not differentiable.  tinygpt/inspection/ looks with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels import active

__all__ = ["Summary", "softmax_summary"]


class Summary(NamedTuple):
    """Of R rows of scores: the k likeliest, first first, log sum e^x, nats of entropy, and how many
    scores are above the one that was asked about.

    top: (R, k) int64.  lse, entropy: (R,) float64.  before: (R,) int64.
    """

    top: np.ndarray
    lse: np.ndarray
    entropy: np.ndarray
    before: np.ndarray


def softmax_summary(logits: np.ndarray, ids: np.ndarray, k: int) -> Summary:
    """logits: (R, V) float.  ids: (R,) integers, whose ranks are wanted.  k: from 1 to V."""
    return Summary(*active.softmax_summary(logits, ids, k))
