"""MinHash in Numba; what it means: numpy_ref/minhash.py.  Also written in: c/minhash.c."""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import inline, serial

P, Q, ONE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(1)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def shingle_hashes(text, n):
    """As numpy_ref.shingle_hashes."""
    checks.shingles(text, n)
    text = checks.in_a_row(text)
    words = np.empty(len(text) // 2 + 1, np.uint64)
    hashes = np.empty(len(words), np.uint64)
    with np.errstate(over="ignore"):  # where Python runs this: a product of 64 bits is cut
        count = _words(text, words)
        return hashes[: _shingles(words, count, min(n, count), hashes)]


def minhash_signature(hashes, factors, offsets):
    """As numpy_ref.minhash_signature."""
    checks.minhash(hashes, factors, offsets)
    signature = np.full(len(factors), 2**32 - 1, np.uint32)
    with np.errstate(over="ignore"):
        _signature(*map(checks.in_a_row, (hashes, factors, offsets)), signature)
    return signature


@inline
def mix(h):
    h = (h ^ (h >> np.uint64(30))) * FIRST
    h = (h ^ (h >> np.uint64(27))) * SECOND
    return h ^ (h >> np.uint64(31))


@serial
def _words(text, words):
    count, h, inside = 0, np.uint64(0), False
    for c in text:
        if c != 32:
            h = h * P + np.uint64(c) + ONE
            inside = True
        elif inside:
            words[count] = mix(h)
            count, h, inside = count + 1, np.uint64(0), False
    if inside:
        words[count] = mix(h)
        count += 1
    return count


@serial
def _shingles(words, count, n, hashes):
    if count == 0:
        return 0
    highest, h = ONE, np.uint64(0)
    for i in range(n):
        h = h * Q + words[i]
        if i:
            highest = highest * Q
    hashes[0] = mix(h)
    for i in range(n, count):
        h = (h - words[i - n] * highest) * Q + words[i]
        hashes[i - n + 1] = mix(h)
    return count - n + 1


@serial
def _signature(hashes, factors, offsets, signature):
    for x in hashes:
        for k in range(signature.size):
            h = np.uint32((x * factors[k] + offsets[k]) >> np.uint64(32))
            signature[k] = min(signature[k], h)
