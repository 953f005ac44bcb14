"""Which weights go: by size, by what they read, by what the others can make up for.

    magnitude    the smallest |w| go (Han et al. 2015)
    wanda        the smallest |w| |x|: a weight matters by what it reads (Sun et al. 2024)
    sparsegpt    the smallest w^2 / [H^-1]_jj, and what stays moves to hide it (Frantar and
                 Alistarh 2023): second_order.py

All decide within groups of a row's weights: a row at most, since rows are different outputs with
different scales. Two of every four ("2:4") is a group of four.

Two identities are tests: with all |x| equal wanda is magnitude, and with H a multiple of the
identity so is sparsegpt.

Zeros take no less memory and no less time here: what reads a dense matrix reads zeros as well. They
show what a model could do without; structured.py takes away what the time goes to.

Read first: calibration.py.
"""

from __future__ import annotations

import numpy as np

from tinygpt.compression.calibration import Inputs
from tinygpt.compression.second_order import Fix, solve

BLOCK = 128  # columns that sparsegpt decides about at a time


def smallest(score: np.ndarray, share: float, group: int | None = None) -> np.ndarray:
    """Mark the weights that go: (N, K) bool.

    score: (N, K), what a weight is worth.  share: of each group, rounded down to whole weights.
    group: neighbours in a row that are compared with each other, None for the whole row; a last
        group may be shorter.  Of equals the first goes.
    """
    gone = np.zeros(score.shape, bool)
    size = group or score.shape[1]
    for start in range(0, score.shape[1], size):
        part = score[:, start : start + size]
        count = int(share * part.shape[1] + 1e-9)
        order = np.argsort(part, axis=1, kind="stable")[:, :count]
        np.put_along_axis(gone[:, start : start + size], order, True, axis=1)
    return gone


def magnitude(weight: np.ndarray, share: float, group: int | None = None) -> np.ndarray:
    """weight (N, K) with the smallest of each group 0; see `smallest`."""
    return np.where(smallest(np.abs(weight), share, group), 0, weight)


def wanda(
    weight: np.ndarray, inputs: Inputs, share: float, group: int | None = None
) -> np.ndarray:
    """weight (N, K) with the smallest |w| |x| of each group 0.  Source: Sun et al. 2024, eq. 1."""
    return np.where(smallest(np.abs(weight) * inputs.norms, share, group), 0, weight)


def sparsegpt(
    weight: np.ndarray, inputs: Inputs, share: float, group: int | None = None
) -> np.ndarray:
    """weight (N, K) with a share of each group 0 and the rest moved to make up for it.

    group: None decides in blocks of BLOCK columns as the sweep reaches them, with the values that
        they have by then.
    Source: Frantar and Alistarh 2023 (SparseGPT), algorithm 1.
    """
    def look(block: np.ndarray, roots: np.ndarray) -> Fix:
        gone = smallest((block / roots) ** 2, share, group)
        return lambda j, column: np.where(gone[:, j], 0, column)

    size = BLOCK if group is None else BLOCK // group * group
    return solve(weight, inputs.second, look, size).astype(weight.dtype)
