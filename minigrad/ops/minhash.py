"""Near-duplicates of texts: shingles and signatures.  What they mean: kernels/numpy_ref/minhash.py.

Not differentiable.  tinygpt/curation/near.py finds what is alike with them.
"""

from __future__ import annotations

import numpy as np

from kernels import active

__all__ = ["minhash_signature", "shingle_hashes"]


def shingle_hashes(text: np.ndarray, n: int) -> np.ndarray:
    """Hashes (shingles,) uint64 of every n words in a row of a text (size,) uint8."""
    return active.shingle_hashes(text, n)


def minhash_signature(
    hashes: np.ndarray, factors: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """The MinHash signature (K,) uint32 of a set of hashes; factors, offsets: (K,) uint64."""
    return active.minhash_signature(hashes, factors, offsets)
