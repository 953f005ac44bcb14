"""Which split a cluster of documents goes to: a matter of its hash alone.

A document is never in another split than its near-duplicates, or a model is praised for what it
has seen. A cluster's place is a number in [0, 1), and the fractions cut [0, 1). Half of a digest
says which document speaks for a cluster, the one where it is least; its other half is the place.
So a document that is added later moves none of the others, unless it joins their cluster and speaks
for it. (Were the least half the place, clusters of many would nearly all stand at the beginning.)

A folder of a few documents may leave a split empty that way. Then the clusters nearest to the
split's stretch go there, one each: a small corpus can be trained on, a large one is stable.

Read next: writing.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygpt.text.split import SPLITS


def places(digests: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(documents,) float64 in [0, 1): where each one's cluster stands.

    digests: (documents, 2) uint64.  clusters: (documents,) int64, each the number of a document.
    """
    falling = np.argsort(digests[:, 0], kind="stable")[::-1]
    speaker = np.zeros(len(digests), np.int64)
    speaker[clusters[falling]] = falling  # of several for one cluster the last stays
    return (digests[speaker[clusters], 1] >> np.uint64(11)) * 2.0**-53


def deal(place: np.ndarray, clusters: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """(documents,) int64: which of SPLITS each goes to.

    fractions: of train, validation and test; they sum to 1.
    """
    edges = np.cumsum(fractions)[:-1]
    split = np.searchsorted(edges, place, side="right")
    for number in np.argsort(fractions, kind="stable"):  # the smallest first
        if not fractions[number] or (split == number).any():
            continue
        others = [n for n in range(len(SPLITS)) if len(np.unique(clusters[split == n])) > 1]
        free = np.flatnonzero(np.isin(split, others))
        if len(free):
            middle = sum(fractions[:number]) + fractions[number] / 2
            nearest = clusters[free[np.argmin(np.abs(place[free] - middle))]]
            split[clusters == nearest] = number
    return split
