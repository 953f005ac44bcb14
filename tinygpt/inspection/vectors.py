"""Tables of vectors as a picture: the two directions in which they differ most, and who is near.

Read next: matrices.py.
"""

from __future__ import annotations

import numpy as np


def principal_map(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components.  vectors: (N, C), N >= 2.

    Returns (places, shares): (N, 2) float64 coordinates about their mean, and (2,), the part of all
    variance that each direction holds. Signs are chosen so that the largest coordinate of each
    direction is positive: the same table gives the same picture.
    Source: Pearson 1901; here from the eigenvectors of the (C, C) covariance.
    """
    x = vectors.astype(np.float64)
    x = x - x.mean(axis=0)
    values, directions = np.linalg.eigh(x.T @ x)
    first = directions[:, ::-1][:, :2]  # eigh sorts upwards
    if first.shape[1] < 2:
        first = np.concatenate([first, np.zeros((len(first), 2 - first.shape[1]))], axis=1)
    places = x @ first
    places *= np.where(places[np.abs(places).argmax(axis=0), np.arange(2)] < 0, -1, 1)
    total = max(float(values.sum()), 1e-300)
    shares = np.zeros(2)
    shares[: min(2, len(values))] = np.maximum(values[::-1][:2], 0) / total
    return places, shares


def nearest(vectors: np.ndarray, one: int, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The k rows whose cosine with row `one` is largest, itself left out: (ids, cosines)."""
    unit = directions(vectors)
    cosines = unit @ unit[one]
    cosines[one] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(k, len(vectors) - 1)]
    return order, cosines[order]


def similarity(vectors: np.ndarray) -> np.ndarray:
    """(N, N) cosines of all pairs of rows."""
    unit = directions(vectors)
    return unit @ unit.T


def directions(vectors: np.ndarray) -> np.ndarray:
    """Rows at length 1, in float64; a row of zeros stays one."""
    x = vectors.astype(np.float64)
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / np.where(length == 0, 1, length)
