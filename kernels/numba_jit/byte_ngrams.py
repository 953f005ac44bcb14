"""Hashes of bytes in a row in Numba; what they mean: numpy_ref/byte_ngrams.py.

Also written in: c/byte_ngrams.c.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import inline, serial

FACTOR, BASE = np.uint32(0x01000193), np.uint32(0x85EBCA6B)


def byte_ngrams(text, n):
    """As numpy_ref.byte_ngrams."""
    checks.byte_ngrams(text, n)
    hashes = np.empty(max(0, len(text) - n + 1), np.uint32)
    with np.errstate(over="ignore"):  # where Python runs this: a product of 32 bits is cut
        _hashes(checks.in_a_row(text), n, hashes)
    return hashes


def byte_ngram_counts(text, most, buckets):
    """As numpy_ref.byte_ngram_counts."""
    checks.byte_ngrams(text, most, buckets)
    most = min(most, len(text))
    ids = np.empty(min(buckets, most * len(text)), np.uint32)
    table = np.zeros(buckets, np.int32)
    with np.errstate(over="ignore"):
        found = _counts(checks.in_a_row(text), most, table, ids)
    return ids[:found], table[ids[:found]]


def byte_ngram_logits(text, most, weight, bias):
    """As numpy_ref.byte_ngram_logits."""
    checks.byte_ngram_logits(text, most, weight, bias)
    most, buckets = min(most, len(text)), len(weight)
    ids = np.empty(min(buckets, most * len(text)), np.uint32)
    table, logits = np.zeros(buckets, np.int32), bias.copy()
    with np.errstate(over="ignore"):
        found = _counts(checks.in_a_row(text), most, table, ids)
    _logits(table, ids[:found], checks.in_a_row(weight), logits)
    return logits


def byte_ngrams_known(text, n, known):
    """As numpy_ref.byte_ngrams_known."""
    checks.byte_ngrams_known(text, n, known)
    with np.errstate(over="ignore"):
        return int(_known(checks.in_a_row(text), n, checks.in_a_row(known)))


@inline
def _hash(text, at, n):
    h = np.uint32(text[at])
    for i in range(at + 1, at + n):
        h = np.uint32(h * FACTOR) ^ np.uint32(text[i])
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(BASE + np.uint32(2 * n)))
    return h ^ (h >> np.uint32(13))


@serial
def _hashes(text, n, hashes):
    for i in range(hashes.size):
        hashes[i] = _hash(text, i, n)


@serial
def _counts(text, most, table, ids):
    found = 0
    for n in range(1, most + 1):
        for i in range(text.size - n + 1):
            bucket = _hash(text, i, n) & np.uint32(table.size - 1)
            if table[bucket] == 0:
                ids[found] = bucket
                found += 1
            table[bucket] += 1
    return found


@serial
def _logits(table, ids, weight, logits):
    total = 0
    for bucket in ids:
        total += table[bucket]
    for bucket in ids:
        x = np.sqrt(np.float32(table[bucket]) / np.float32(total))
        for c in range(logits.size):
            logits[c] += x * weight[bucket, c]


@serial
def _known(text, n, known):
    count = 0
    for i in range(text.size - n + 1):
        count += known[_hash(text, i, n) & np.uint32(known.size - 1)]
    return count
