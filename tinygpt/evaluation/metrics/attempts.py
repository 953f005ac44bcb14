"""pass@k: the chance that one of k attempts is right, from n attempts of which c were.

Taking k of the n at random and looking is unbiased but noisy; averaged over all ways of taking k it
is 1 - (n - c choose k) / (n choose k): one minus the chance that all k come from the wrong ones.
(1 - (1 - c/n)^k, which suggests itself, is too low for every n.)

Source: Chen et al. 2021, equation 1.
"""

from __future__ import annotations


def pass_at_k(attempts: int, right: int, k: int) -> float:
    """The chance that k of `attempts` hold a right one, `right` of them being right.

    Raises ValueError for more than all.
    """
    if not 0 <= right <= attempts or not 1 <= k <= attempts:
        raise ValueError(f"pass_at_k: {right} right of {attempts} attempts, k = {k}")
    wrong = 1.0
    for i in range(k):  # (n - c - i) / (n - i): the i-th one taken is wrong too
        wrong *= max(attempts - right - i, 0) / (attempts - i)
    return 1.0 - wrong
