"""SimPO: no reference, and the mean log-probability of a token in the place of the sum.

    loss = -log sigma(beta (log pi(w) / |w| - log pi(l) / |l| - gamma))

By the mean an answer is also written: what is likeliest per token wins a beam search. Nothing ties
the policy to where it began but a small learning rate, and beta is larger than DPO's by about the
length of an answer. gamma is the margin that has to be there before a pair is left in peace.

Source: Meng et al. 2024, eq. 6; there the margin stands outside beta, as gamma_0 = beta gamma.
Read next: orpo.py.
"""

from __future__ import annotations

from minigrad import Tensor, ops
from tinygpt.alignment.pairs import PairScores


def simpo(pairs: PairScores, beta: float, gamma: float) -> Tensor:
    """(B,) losses.  gamma: nats per token."""
    chosen, rejected = pairs.means
    return ops.softplus((rejected - chosen + gamma) * beta)
