"""Change one column of a matrix, and let the columns after it make up for it.

A matrix W (N, K) reads inputs whose second moments are H (calibration.py). If column j must become
q (rounded, or zero), the other columns may move to hide it. The change E that leaves the least
tr(E H E^T) with E_j = q - W_j fixed and the columns before j no longer free is, row by row,

    E = -(W_j - q) / [F^-1]_jj * [F^-1]_j,:          F = H over the columns that are still free

(Lagrange: H E^T + lambda e_j = 0 with E_j given.) Then j is fixed too, and F^-1 loses its first row
and column by one step of elimination. `naive` is that, line by line: K^2 operations a column.

The rows that elimination passes through, each divided by the root of its first entry, are the rows
of the upper Cholesky factor U of H^-1 = U^T U. So all of them can be had at once, and

    W_:,j+1: -= (W_j - q) / U_jj * U_j,j+1:

`solve` does that, block by block: within a block column after column, and what a block does to all
columns behind it as one product.

Source: Hassibi and Stork 1993; Frantar et al. 2023 (GPTQ), sections 3.2 and 3.3, algorithm 1.
Read next: rounding.py, pruning.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# What becomes of a column: (number in its block, (N,) values by now) -> (N,).
Fix = Callable[[int, np.ndarray], np.ndarray]
# Looks at a block when it is reached: ((N, block) values by now, (block,) U_jj) -> a Fix.
Look = Callable[[np.ndarray, np.ndarray], Fix]

DAMPING = 0.01  # of the mean of H's diagonal, added to it: little text leaves H near singular


def damped(second: np.ndarray, damping: float = DAMPING) -> np.ndarray:
    """H with a little of its mean on the diagonal, (K, K) float64.

    An input that is always 0 has a zero row: it gets the damping alone, and so never moves others.
    A matrix that has read nothing at all has H = I.
    """
    mean = float(np.mean(np.diag(second)))
    return second + (damping * mean or 1.0) * np.eye(len(second))


def naive(weight: np.ndarray, second: np.ndarray, look: Look, block: int) -> np.ndarray:
    """What `solve` computes, as the derivation says it.  Arguments as there."""
    made = weight.astype(np.float64)
    inverse = np.linalg.inv(damped(second))
    roots = np.diag(np.linalg.cholesky(inverse).T)
    for j in range(made.shape[1]):
        if j % block == 0:
            fix = look(made[:, j : j + block].copy(), roots[j : j + block])
        column = fix(j % block, made[:, j])
        made[:, j:] -= np.outer((made[:, j] - column) / inverse[0, 0], inverse[0])
        inverse = inverse[1:, 1:] - np.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]
    return made


def solve(weight: np.ndarray, second: np.ndarray, look: Look, block: int) -> np.ndarray:
    """Fix all columns of a matrix from left to right; those that remain make up for each.

    weight: (N, K) float32.  second: H, (K, K) float64.
    look: called for every `block` columns when they are reached.
    Returns (N, K) float64, each column as its Fix gave it.
    """
    made = weight.astype(np.float64)
    upper = np.linalg.cholesky(np.linalg.inv(damped(second))).T
    roots = np.diag(upper)
    for start in range(0, made.shape[1], block):
        stop = min(start + block, made.shape[1])
        here, factor = made[:, start:stop], upper[start:stop, start:stop]
        fix = look(here.copy(), roots[start:stop])
        errors = np.empty_like(here)
        for j in range(stop - start):
            column = fix(j, here[:, j])
            errors[:, j] = (here[:, j] - column) / factor[j, j]
            here[:, j + 1 :] -= np.outer(errors[:, j], factor[j, j + 1 :])
            here[:, j] = column
        made[:, stop:] -= errors @ upper[start:stop, stop:]
    return made


def made_up(weight: np.ndarray, second: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The columns `kept` of a matrix (N, K) as they do best without the others, (N, len(kept)).

    E = W' - W, with W' zero elsewhere, leaves the least tr(E H E^T) where its slope is zero in
    every column that may move: (W' - W) H_:,kept = 0, so W'_kept = W H_:,kept H_kept,kept^-1.
    Returns float64.
    """
    H = damped(second)
    return np.linalg.solve(H[np.ix_(kept, kept)], H[kept] @ weight.T.astype(np.float64)).T


def damage(change: np.ndarray, second: np.ndarray) -> float:
    """tr(E H E^T) of a change (N, K): the squared error of all outputs over the text."""
    return float(np.einsum("nk,nk->", change @ second, change))
