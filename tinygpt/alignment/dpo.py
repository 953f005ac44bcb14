"""DPO: a policy learned from pairs of answers, as if a reward had been learned between.

Reinforcement learning with a leash, max E_pi[r(x, y)] - beta KL(pi || pi_ref), has a solution in
closed form. For one prompt, with Z the sum over all answers that makes it a distribution:

    pi*(y) = pi_ref(y) exp(r(y) / beta) / Z      =>      r(y) = beta log(pi*(y) / pi_ref(y)) + c

So every policy is the best one for some reward. People who choose between two answers by
Bradley-Terry, p(w over l) = sigma(r_w - r_l), never see c, and the likelihood of their choices is a
function of the policy alone:

    loss = -log sigma(beta h),     h = log(pi(w) / pi_ref(w)) - log(pi(l) / pi_ref(l))

    dloss/dh = -beta sigma(-beta h)        pairs that are still wrong pull the most

At step 0 pi is pi_ref, h = 0 and the loss is ln 2 exactly. h can grow while both answers become
less likely, so both log-probabilities are reported.

log pi is a sum over an answer's tokens. The mean would be another loss: simpo.py's.

Source: Rafailov et al. 2023; the smoothing of labels that may be wrong, Mitchell 2023 (cDPO).
Read next: ipo.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, ops
from tinygpt.alignment.pairs import PairScores
from tinygpt.alignment.scores import constant


def dpo(pairs: PairScores, beta: float, smoothing: float | np.ndarray = 0.0) -> Tensor:
    """(B,) losses.

    beta: how short the leash is.  smoothing: share of choices that are taken to be slips, of all
        pairs or (B,) of each; of a tie it is 0.5.
    """
    h = pairs.margin * beta
    slips = constant(smoothing, h)
    return ops.softplus(-h) * (1 - slips) + ops.softplus(h) * slips
