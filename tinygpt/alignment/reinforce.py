"""REINFORCE: make what was rewarded more likely, by as much as it was better than usual.

    J = E_pi[r(y)]     =>     grad J = sum_y r(y) grad pi(y) = E_pi[r(y) grad log pi(y)]

since grad pi = pi grad log pi. So a sample and its reward are enough, and the reward itself needs
no derivative: a program that says right or wrong will do. Any b that does not depend on y may be
taken off, for E_pi[grad log pi] = grad sum_y pi(y) = 0:

    loss = -(r - b) log pi(y)

Without b, rewards that are all positive push all answers up, and what moves is mostly noise; with b
near E[r] the variance is smallest where that matters. Here b is the mean of earlier rewards, as
they slowly fade. It knows nothing of the answers at hand, so nothing is biased.

Source: Williams 1992.
Read next: rloo.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor
from tinygpt.alignment.scores import constant

FADING = 0.9  # what is left of the usual reward after another rollout


def reinforce(log_pi: Tensor, advantages: np.ndarray) -> Tensor:
    """(S,) losses.  log_pi: (S,) of whole answers; advantages: (S,), r - b."""
    return -(log_pi * constant(advantages, log_pi))


def above_usual(rewards: np.ndarray, usual: float | None) -> np.ndarray:
    """r - b of rewards of any shape.  usual: b, None for the first rewards there are."""
    return rewards - (rewards.mean() if usual is None else usual)


def usual_reward(rewards: np.ndarray, usual: float | None) -> float:
    """b for the next answers."""
    mean = float(rewards.mean())
    return mean if usual is None else FADING * usual + (1 - FADING) * mean
