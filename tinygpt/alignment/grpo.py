"""GRPO: PPO without a critic, the group of a prompt's answers in its place; and two corrections.

    A_i = (r_i - mean) / (std + 1e-4)            of the G answers to one prompt, std with ddof 1

Every token of answer i has the advantage A_i; ratio and clip are PPO's, token by token. What a mean
over tokens is has to be said, and there the three differ. With |y| the tokens of an answer and N
answers in a step:

    grpo      1/N sum_i 1/|y_i| sum_t loss_t     each answer alike
    dr_grpo   1/N sum_i 1/M     sum_t loss_t     M: the most tokens an answer may have; and no std
    dapo      1 / sum_i |y_i|   sum_i sum_t ...  each token alike, and more room upwards in the clip

*grpo*: a token of a long answer weighs little. So a right answer is rewarded for being short, which
nobody minds, and a wrong one is punished less for being long, which teaches to ramble. *dr_grpo*:
the gradient of the reward itself, as in REINFORCE, needs no 1/|y|, and no std either: by that a
question that all but one answer get right counts more than one that is open. *dapo*: each token
alike, and room upwards, 1 + 0.28, that an unlikely token may use to become likelier.

A group whose rewards are all equal has A = 0 and teaches nothing; a leash in the loss still pulls.
Where many prompts are too easy or too hard most answers would be learned from in vain. DAPO draws
prompts until it has enough whose answers differ ("dynamic sampling", policy.draws), and learns from
these alone: answers are cheaper to write than to learn from.
The loss is 0 at first by construction (rho = 1 and the advantages sum to 0): it diagnoses nothing.

Source: Shao et al. 2024, eq. 3; Liu et al. 2025 (Dr. GRPO); Yu et al. 2025 (DAPO).
Read next: reinforcement.py.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Mean = Literal["grpo", "dr_grpo", "dapo"]


def standardised(rewards: np.ndarray) -> np.ndarray:
    """Advantages (P, G) of the rewards (P, G) of G >= 2 answers to each of P prompts."""
    std = rewards.std(axis=1, ddof=1, keepdims=True)
    return (rewards - rewards.mean(axis=1, keepdims=True)) / (std + 1e-4)


def centred(rewards: np.ndarray) -> np.ndarray:
    """As `standardised`, without the standard."""
    return rewards - rewards.mean(axis=1, keepdims=True)


def token_weights(counts: np.ndarray, mean: Mean, longest: int) -> np.ndarray:
    """(R,) what each token's loss is multiplied by, so that the sum over a batch is its mean.

    counts: (S,) tokens of each answer.  longest: M.
    """
    share = {
        "grpo": 1 / (len(counts) * counts),
        "dr_grpo": np.full(len(counts), 1 / (len(counts) * longest)),
        "dapo": np.full(len(counts), 1 / counts.sum()),
    }
    return np.repeat(share[mean], counts)
