"""RLOO: several answers to one prompt, each judged by how the others did.

With G answers to a prompt the usual reward need not be remembered: the mean of the other G - 1 is a
baseline for just this prompt, easy or hard, and independent of the answer it is taken off from.

    A_i = r_i - mean of r_j, j != i  =  G / (G - 1) (r_i - mean of all)

    loss = -min(rho A, clip(rho) A),     rho = pi(y) / pi_old(y)  of the whole answer

As long as pi is the policy that wrote the answers rho is 1, and the gradient is REINFORCE's. An
answer is one action here: its tokens share its advantage.

Source: Kool et al. 2019; for language models Ahmadian et al. 2024.
Read next: ppo.py.
"""

from __future__ import annotations

import numpy as np


def leave_one_out(rewards: np.ndarray) -> np.ndarray:
    """Advantages (P, G) of the rewards (P, G) of G answers to each of P prompts, G >= 2."""
    group = rewards.shape[1]
    return (rewards - rewards.mean(axis=1, keepdims=True)) * (group / (group - 1))
