"""Texts as counts of short strings of bytes.  What they mean: kernels/numpy_ref/byte_ngrams.py.

Not differentiable.  tinygpt/curation/classifier.py looks at texts through them.
"""

from __future__ import annotations

import numpy as np

from kernels import active

__all__ = ["byte_ngram_counts", "byte_ngram_logits", "byte_ngrams", "byte_ngrams_known"]


def byte_ngrams(text: np.ndarray, n: int) -> np.ndarray:
    """Hashes (size - n + 1,) uint32 of every n bytes in a row of a text (size,) uint8."""
    return active.byte_ngrams(text, n)


def byte_ngram_counts(
    text: np.ndarray, most: int, buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """(buckets (found,) uint32, how often (found,) int32) of the hashes of 1 ... most bytes."""
    found: tuple[np.ndarray, np.ndarray] = active.byte_ngram_counts(text, most, buckets)
    return found


def byte_ngram_logits(
    text: np.ndarray, most: int, weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """(classes,) float32 of a text (size,) uint8.  weight: (buckets, classes) float32."""
    return active.byte_ngram_logits(text, most, weight, bias)


def byte_ngrams_known(text: np.ndarray, n: int, known: np.ndarray) -> int:
    """How many n-grams of a text have a hash in known (buckets,) bool."""
    return active.byte_ngrams_known(text, n, known)
