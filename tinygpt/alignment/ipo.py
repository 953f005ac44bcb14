"""IPO: a margin to reach, and not to run away from.

Where people always choose the same answer, DPO's likelihood has no maximum: h grows for ever and
the leash to the reference holds nothing. IPO asks for a margin of 1 / (2 tau) and no more:

    loss = (h - 1 / (2 tau))^2

It is the square loss of the preference itself and not of its logit: for choices that are right with
probability p the minimum is at h = (2 p - 1) / (2 tau), where a pair that is chosen both ways pulls
to both sides.

h is a mean over tokens here: a long answer need not move further than a short one. (The paper's
answers are single actions; that a text's are averaged its authors have confirmed.)

Source: Azar et al. 2023, eq. 17.
Read next: simpo.py.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor, ops
from tinygpt.alignment.pairs import PairScores
from tinygpt.alignment.scores import constant


def ipo(pairs: PairScores, tau: float, tie: np.ndarray | None = None) -> Tensor:
    """(B,) losses.

    tau: above 0; half of the inverse of the margin that is asked for.  tie: (B,) bool, pairs of
        which no margin is.
    """
    chosen, rejected = pairs.gains
    h = (chosen / constant(pairs.chosen_tokens, chosen)
         - rejected / constant(pairs.rejected_tokens, rejected))
    wanted = np.full(h.shape, 1 / (2 * tau))
    return ops.square(h - constant(wanted if tie is None else np.where(tie, 0.0, wanted), h))
