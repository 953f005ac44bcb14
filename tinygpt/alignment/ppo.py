"""PPO: several updates on the same answers, none of them too far, and credit token by token.

**The clip.** Answers of pi_old also tell about a pi nearby: E_pi[A] = E_old[rho A], with
rho = pi / pi_old. Far away rho is huge or nothing, so it is worth no more to go further than a
factor of 1 - low or 1 + high:

    loss = -min(rho A, clip(rho, 1 - low, 1 + high) A)

The minimum is a lower bound: where a step has made things worse the whole rho counts, or there were
no way back. At the first update rho is 1 and nothing is clipped.

**Credit.** The reward comes at the end; which token earned it? A second head of the model, the
critic, says at each token what is still to come, V_t. With r_t the reward at a token (the leash's
share at each, the answer's at the last) what it brought is

    delta_t = r_t + gamma V_{t+1} - V_t         V behind the last token is 0
    A_t = delta_t + gamma lam A_{t+1}           (generalized advantage estimation)

lam = 1 is the whole return less V_t: right and noisy. lam = 0 trusts the critic for all that
follows: quiet, and wrong where it is. The critic learns the returns A_t + V_t, by least squares,
and is not let away from what it said before by more than a clip either.

Source: Schulman et al. 2017, eq. 7; of the advantages, Schulman et al. 2015, eq. 16.
Read next: grpo.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, ops
from tinygpt.alignment.scores import constant


def clipped(
    log_pi: Tensor, log_old: np.ndarray, advantages: np.ndarray, low: float, high: float
) -> Tensor:
    """Losses of tokens, or of whole answers, of any shape.

    log_pi, log_old: log-probabilities by the policy and by the one that wrote.
    """
    a = constant(advantages, log_pi)
    rho = ops.exp(log_pi - constant(log_old, log_pi))
    return -ops.minimum(rho * a, ops.clip(rho, 1 - low, 1 + high) * a)


def gae(
    rewards: np.ndarray, values: np.ndarray, counts: np.ndarray, gamma: float, lam: float
) -> np.ndarray:
    """Advantages (R,) of the tokens of several answers, one after the other.

    rewards, values: (R,) float64.  counts: (S,) tokens of each answer.
    """
    number = np.repeat(np.arange(len(counts)), counts)  # of the answer that a token is of
    place = np.arange(len(rewards)) - np.repeat(np.cumsum(counts) - counts, counts)
    r, v = np.zeros((2, len(counts), counts.max() + 1))  # nothing comes behind the last token
    r[number, place], v[number, place] = rewards, values
    later = np.zeros_like(r)
    for t in range(counts.max() - 1, -1, -1):
        later[:, t] = r[:, t] + gamma * v[:, t + 1] - v[:, t] + gamma * lam * later[:, t + 1]
    return later[number, place]


def whitened(x: np.ndarray) -> np.ndarray:
    """Less their mean, and of deviation 1: the size of a reward need not fit the learning rate."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-8)


def value_loss(
    values: Tensor, old: np.ndarray, returns: np.ndarray, most: float
) -> Tensor:
    """(R,) half squared errors of a critic, the larger of what it says and of that held within
    `most` of what it said, `old`."""
    before, target = constant(old, values), constant(returns, values)
    held = before + ops.clip(values - before, -most, most)
    worse = ops.maximum(ops.square(values - target), ops.square(held - target))
    return worse * 0.5
