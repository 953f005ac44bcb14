"""A text as counts of short strings of bytes: what a classifier of texts looks at.

    byte_ngrams          the hash of every n bytes in a row
    byte_ngram_counts    how often each hash of 1 ... most bytes occurs, in so many buckets
    byte_ngram_logits    what a linear classifier says of those counts
    byte_ngrams_known    how many n-grams are among those that somebody knows

Bytes of UTF-8 need no words, no alphabet and no script. Hashing them into buckets (Weinberger et
al. 2009) needs no table of the n-grams that there are, at the price that some share a bucket.

A hash: h = h * 0x01000193 ^ byte for each byte (as FNV does, its first byte as it is), mixed with a
factor that depends on n. All modulo 2^32, so every version makes the same.

Also written in: numba_jit/byte_ngrams.py, c/byte_ngrams.c.  Read next: word_ngrams.py.
"""

import numpy as np

from kernels import checks


def byte_ngrams(text, n):
    """A hash of every n bytes in a row.

    text: (size,) uint8.  n: at least 1.  Returns (size - n + 1,) uint32, none for a shorter text.
    Raises TypeError for another dtype, ValueError for another shape or n.
    """
    checks.byte_ngrams(text, n)
    if len(text) < n:
        return np.empty(0, np.uint32)
    data = text.astype(np.uint32)
    hashed = data[: len(data) - n + 1].copy()
    for i in range(1, n):
        hashed = hashed * np.uint32(0x01000193) ^ data[i : len(data) - n + 1 + i]
    hashed = (hashed ^ hashed >> np.uint32(15)) * np.uint32(0x85EBCA6B + 2 * n)
    return hashed ^ hashed >> np.uint32(13)


def byte_ngram_counts(text, most, buckets):
    """How often the hashes of 1 ... most bytes occur.

    text: (size,) uint8.  buckets: a power of two; a hash goes to the one that its last bits name.
    Returns (ids (found,) uint32, counts (found,) int32): the buckets that are not empty, in the
    order in which the n-grams first meet them, all of one byte before all of two.
    Raises TypeError for another dtype, ValueError for another shape, `most` or `buckets`.
    """
    checks.byte_ngrams(text, most, buckets)
    hashed = [byte_ngrams(text, n) for n in range(1, most + 1)]
    ids = np.concatenate(hashed) & np.uint32(buckets - 1)
    ids, first, counts = np.unique(ids, return_index=True, return_counts=True)
    order = np.argsort(first)
    return ids[order], counts[order].astype(np.int32)


def byte_ngram_logits(text, most, weight, bias):
    """The logits of a linear classifier of a text, whose features are roots of counts.

    text: (size,) uint8.  weight: (buckets, classes), bias: (classes,) float32.
    Returns (classes,) float32: sum over buckets of sqrt(count / all counts) weight[bucket] + bias.
    (The features are of length 1, for counts / all counts add up to 1.)
    Raises TypeError for another dtype, ValueError for other shapes, `most` or number of buckets.
    """
    checks.byte_ngram_logits(text, most, weight, bias)
    ids, counts = byte_ngram_counts(text, most, len(weight))
    x = np.sqrt(counts / max(1, int(counts.sum())), dtype=np.float32)
    return x @ weight[ids] + bias


def byte_ngrams_known(text, n, known):
    """How many of every n bytes in a row have a hash that is known.

    text: (size,) uint8.  known: (buckets,) bool, a power of two of them.  Returns an int.
    Raises TypeError for another dtype, ValueError for another shape, n or number of buckets.
    """
    checks.byte_ngrams_known(text, n, known)
    return int(known[byte_ngrams(text, n) & np.uint32(len(known) - 1)].sum())
