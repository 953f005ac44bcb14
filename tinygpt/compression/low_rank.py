"""A matrix as the product of two thin ones: (N, K) by r (N + K) values.

The best product of rank r is what the r largest singular values leave (Eckart and Young 1936), if
all inputs count alike. They do not. With H = S S^T the second moments of what is read
(calibration.py), the damage of a change E is tr(E H E^T) = |E S|^2, so that

    W S = U diag(s) V^T        W' = U_r diag(s_r) V_r^T S^-1

is the best W' of rank r for this text. With H a multiple of the identity both are one.

A model of this house has no place for two factors where a matrix stands, so what is made is their
product: as the zeros of pruning.py it shows what a model could do without, and is no smaller here.
That trained matrices have no small rank, and lose more by this than by rounding to as many bytes,
is what it shows.

Source: Wang et al. 2024 (SVD-LLM), section 3.1, for the whitening.
Read next: methods.py.
"""

from __future__ import annotations

import numpy as np

from tinygpt.compression.second_order import damped
from tinygpt.errors import UserError


def rank_of(shape: tuple[int, int], share: float) -> int:
    """The rank at which a matrix's factors have `share` fewer values than it has.

    Raises UserError where not even one is left.
    """
    rows, columns = shape
    rank = int((1 - share) * rows * columns / (rows + columns))
    if rank < 1:
        raise UserError(
            f"--share {share:g} leaves a matrix of {rows} x {columns} no rank at all. Choose less."
        )
    return rank


def factors(weight: np.ndarray, second: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, r) and (r, K), whose product is nearest to a weight (N, K) for what it reads.

    second: H, (K, K).
    """
    root = np.linalg.cholesky(damped(second))  # (K, K), lower: S
    u, s, vt = np.linalg.svd(weight.astype(np.float64) @ root, full_matrices=False)
    return u[:, :rank] * s[:rank], np.linalg.solve(root.T, vt[:rank].T).T


def low_rank(weight: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The product of `factors` with `share` fewer values, of weight's dtype."""
    up, down = factors(weight, second, rank_of(weight.shape, share))
    return (up @ down).astype(weight.dtype)
