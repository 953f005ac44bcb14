"""Expert iteration: write several answers, keep the best, learn to write those.

    loss = -log pi(y) / |kept tokens|        of the answers that no other to their prompt beats

Every policy gradient has to do better than this, and the two are nearer than their names. With
rewards of 0 and 1, "learn what was right" is REINFORCE without a baseline; only that a wrong answer
is passed over, and is not pushed down. What it cannot do is to learn from a prompt whose answers
are all alike, and it sees no difference between an answer that was just good enough and a perfect
one.

Source: Anthony et al. 2017; of answers that a verifier keeps, Zelikman et al. 2022 (STaR).
Read next: policy.py.
"""

from __future__ import annotations

import numpy as np


def kept(rewards: np.ndarray) -> np.ndarray:
    """(P, G) 1 for the best answers to each prompt, 0 for others, and for all where all are alike.

    rewards: (P, G).
    """
    best, worst = rewards.max(axis=1, keepdims=True), rewards.min(axis=1, keepdims=True)
    return ((rewards == best) & (best > worst)).astype(np.float64)
