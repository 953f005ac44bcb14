"""What is told of a softmax over a vocabulary, without the probabilities themselves.

A row of 49,152 scores is looked at for ten tokens and three numbers: the compiled versions write
nothing of its size.

Also written in: numba_jit/softmax_summary.py, c/softmax_summary.c.  Used by:
minigrad/ops/softmax_summary.py.
"""

import numpy as np

from kernels import checks, contracts


def softmax_summary(logits, ids, k):
    """The k largest of each row, and the log of the sum, the entropy and a rank of its softmax.

    logits: (R, V) float; ids: (R,) int, one in each row; k: from 1 to V.
    Returns (top, lse, entropy, before): top (R, k) int64, largest first, equal ones by id; lse (R,)
    float64, log sum_j exp(x_j), so that p_j = exp(x_j - lse); entropy (R,) float64, nats; before
    (R,) int64, how many scores of the row are above that of its id. lse and entropy are nan for a
    row with a nan, with inf, or of only -inf.
    Raises IndexError for an id outside [0, V), ValueError for another k.
    """
    _, V = contracts.softmax_summary.check(logits, ids)
    checks.ids("softmax_summary", ids, V)
    checks.top(k, V)
    top = np.argsort(-logits, axis=-1, kind="stable")[:, :k]
    x = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted = x - x.max(axis=-1, keepdims=True)
        p = np.exp(shifted)
        mass = p.sum(axis=-1)
        # H = - sum p ln p and ln p = d - ln Z, d the shifted score: ln Z - sum p d; 0 ln 0 = 0
        mean = np.where(p == 0, 0, p * shifted).sum(axis=-1) / mass
    log_mass = np.log(mass)
    own = np.take_along_axis(logits, ids.astype(np.int64)[:, None], axis=-1)
    return top, x.max(axis=-1) + log_mass, log_mass - mean, (logits > own).sum(axis=-1)
