"""KTO: answers that somebody liked or did not, each by itself; no pairs are needed.

People feel gains and losses against what they expect (Kahneman and Tversky 1979). An answer's gain
is g = log pi(y|x) - log pi_ref(y|x), what they expect is z, by how much the policy has left the
reference at all, and

    loss = weight (1 - sigma(beta (g - z)))     of a liked answer
           weight (1 - sigma(beta (z - g)))     of one that was not

The value saturates on both sides, so what is hopelessly wrong, or a slip of whoever judged, pulls
little.

z is KL(pi || pi_ref), but to know it one would have to let the policy write. It is estimated from
answers of the data that stand behind the prompt of another one: the mean of their gains, at least
0. No gradient goes through it. A batch of one answer has no other prompt, and so no z.

Source: Ethayarajh et al. 2024, eq. 8 and section 4.1.
Read next: preferences.py, which has a liked and a disliked answer in each pair; ratings.py, which
has none.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, ops


def kto(gains: Tensor, liked: np.ndarray, expected: float, beta: float,
        liked_weight: float = 1.0, disliked_weight: float = 1.0) -> Tensor:
    """(B,) losses of single answers.

    gains: (B,) log pi - log pi_ref.  liked: (B,) bool.  expected: z, as `expectation` gives it.
    """
    sign = np.where(liked, 1.0, -1.0).astype(gains.dtype)
    weight = np.where(liked, liked_weight, disliked_weight).astype(gains.dtype)
    # 1 - sigma(u) = sigma(-u)
    return ops.sigmoid((expected - gains) * Tensor(beta * sign)) * Tensor(weight)


def expectation(mismatched: np.ndarray) -> float:
    """z, of the gains (B,) of answers behind prompts of others."""
    return max(0.0, float(mismatched.mean()))
