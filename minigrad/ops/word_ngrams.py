"""Words of texts and what of them repeats.  What they mean: kernels/numpy_ref/word_ngrams.py.

Not differentiable.  tinygpt/curation/rules/view.py asks them.
"""

from __future__ import annotations

import numpy as np

from kernels import active
from kernels.numpy_ref.word_ngrams import CLOSE, EDGE, FULL, LETTER, SPACE, STOP

__all__ = [
    "CLOSE", "EDGE", "FULL", "LETTER", "SPACE", "STOP", "repeated_ngrams", "split_words",
]


def split_words(
    text: np.ndarray, kinds: np.ndarray, every: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hashes (words,) uint64, lengths (words,) int64, (tokens, unlettered, sentences) int64).

    text: (size,) uint32, code points; kinds: (known,) uint8, what each code point is.
    """
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = active.split_words(text, kinds, every)
    return found


def repeated_ngrams(words: np.ndarray, lengths: np.ndarray, most: int) -> np.ndarray:
    """(most - 1, 3) int64, for n = 2 ...: times and characters of the commonest, repeated ones."""
    return active.repeated_ngrams(words, lengths, most)
