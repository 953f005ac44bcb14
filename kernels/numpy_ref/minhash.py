"""Texts as sets of shingles, and sets as signatures: how near-duplicates are found.

A *shingle* is n words in a row; a text is the set of its shingles, hashed to 64 bits. How alike
two texts are is the Jaccard index of their sets, J = |A & B| / |A | B|. *MinHash* estimates J from
a few numbers: for a hash function h the least h(x) over a set is the same for A and B exactly when
the least over the union lies in both, which for a random h happens with probability J. A signature
holds the least of each of K functions.

**The functions.** h_k(x) = (a_k x + b_k mod 2^64) >> 32: multiply-shift with a_k odd, the upper 32
bits of a product. A modulus like 2^61 - 1, which others use, takes a 128-bit product; cut to 64
bits (datatrove 198, datasketch) it is not the family that it claims to be. That ours behaves as
independent functions would is tested against the formula in tests/tinygpt/curation/test_near.py.

**Words** lie between bytes of value 32 (what calls has normalised the text). A word's hash is the
polynomial sum_i (c_i + 1) P^(len - 1 - i) mod 2^64, mixed; a shingle's is the polynomial of its
words' hashes in Q, mixed again. Polynomials roll: the fast versions take a word out and another in.

Also written in: numba_jit/minhash.py, c/minhash.c.
"""

import numpy as np

from kernels import checks

P = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers of it lose no bit
Q = np.uint64(0xD6E8FEB86659FD93)
SPACE = 32


def mix(h):
    """The 64-bit finaliser of SplitMix: every input bit flips each output bit half the time.

    Source: Steele, Lea, Flood 2014.
    """
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def powers(base, count):
    """base^0 ... base^(count-1) mod 2^64, (count,) uint64."""
    return np.cumprod(np.concatenate([[np.uint64(1)], np.full(max(count - 1, 0), base)]))[:count]


def word_hashes(text):
    """A hash of each word.  text: (size,) uint8.  Returns (words,) uint64."""
    inside = np.concatenate([[False], text != SPACE, [False]])
    starts = np.flatnonzero(inside[1:] & ~inside[:-1])
    ends = np.flatnonzero(~inside[1:] & inside[:-1])
    if not len(starts):
        return np.empty(0, np.uint64)
    lengths = ends - starts
    places = np.flatnonzero(text != SPACE)
    exponents = np.repeat(ends, lengths) - 1 - places
    terms = (text[places].astype(np.uint64) + np.uint64(1)) * powers(P, lengths.max())[exponents]
    return mix(np.add.reduceat(terms, np.concatenate([[0], np.cumsum(lengths)[:-1]])))


def shingle_hashes(text, n):
    """The hash of every n words in a row.

    text: (size,) uint8, words between bytes of value 32.  n: at least 1.
    Returns (shingles,) uint64 in the order of the text, equal ones as often as they stand there:
    words - n + 1, or one of all words where there are fewer than n, none where there are none.
    Raises TypeError for another dtype, ValueError for another shape or n.
    """
    checks.shingles(text, n)
    words = word_hashes(text)
    if not len(words):
        return words
    n = min(n, len(words))
    rows = np.lib.stride_tricks.sliding_window_view(words, n)
    return mix((rows * powers(Q, n)[::-1]).sum(axis=1, dtype=np.uint64))


def minhash_signature(hashes, factors, offsets):
    """The least of (a x + b mod 2^64) >> 32 over x, for each a and b.

    hashes: (shingles,) uint64; factors (odd), offsets: (K,) uint64.
    Returns (K,) uint32, all 2^32 - 1 for an empty set.  Equal hashes count once, as in a set.
    Raises TypeError for another dtype, ValueError for other shapes.
    Source: Broder 1997 (MinHash); Dietzfelbinger et al. 1997 (multiply-shift).
    """
    checks.minhash(hashes, factors, offsets)
    signature = np.full(len(factors), 2**32 - 1, np.uint32)
    for k in range(len(factors)):
        least = ((hashes * factors[k] + offsets[k]) >> np.uint64(32)).astype(np.uint32)
        signature[k] = least.min(initial=signature[k])
    return signature
