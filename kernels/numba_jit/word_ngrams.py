"""Words and their n-grams in Numba; what they mean: numpy_ref/word_ngrams.py.

Also written in: c/word_ngrams.c, whose table of slots this has too.
"""

import numpy as np

from kernels import checks
from kernels.numba_jit.jit import inline, serial
from kernels.numba_jit.minhash import ONE, P, mix

SPACE, LETTER, EDGE, STOP, CLOSE, FULL = 1, 2, 4, 8, 16, 32
HALF = np.uint64(32)


def split_words(text, kinds, every):
    """As numpy_ref.split_words."""
    checks.words(text, kinds)
    text, kinds = checks.in_a_row(text), np.append(kinds, np.uint8(0))
    room = len(text) if every else len(text) // 2 + 1
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    counts = np.zeros(3, np.int64)
    with np.errstate(over="ignore"):  # where Python runs this: a product of 64 bits is cut
        words = _words(text, kinds, bool(every), hashes, lengths, counts)
    counts[2] = _sentences(text, kinds)
    return hashes[:words], lengths[:words], counts


def repeated_ngrams(words, lengths, most):
    """As numpy_ref.repeated_ngrams."""
    checks.ngrams(words, lengths, most)
    found = np.zeros((most - 1, 3), np.int64)
    room = max(16, 1 << (2 * len(words)).bit_length())
    with np.errstate(over="ignore"):
        _repeated(checks.in_a_row(words), checks.in_a_row(lengths), found, np.empty(room, np.int64))
    return found


@inline
def _kind(c, kinds):
    return kinds[min(np.int64(c), len(kinds) - 1)]


@serial
def _words(text, kinds, every, hashes, lengths, counts):
    words, i = 0, 0
    while i < text.size:
        if _kind(text[i], kinds) & SPACE:
            i += 1
            continue
        first, last, seen = -1, -1, 0
        h, whole = np.uint64(0), np.uint64(0)
        while True:
            kind = _kind(text[i], kinds)
            seen |= kind
            if first >= 0 or not kind & EDGE:
                h = h * P + np.uint64(text[i]) + ONE
            if not kind & EDGE:
                first = i if first < 0 else first
                last, whole = i, h
            i += 1
            if every or i == text.size or _kind(text[i], kinds) & SPACE:
                break
        counts[0] += 1
        counts[1] += not seen & LETTER
        if first >= 0:
            hashes[words], lengths[words] = mix(whole), last - first + 1
            words += 1
    return words


@serial
def _sentences(text, kinds):
    found, i = 0, 0
    while i < text.size:
        if not _kind(text[i], kinds) & STOP:
            i += 1
            continue
        full = 0
        while i < text.size and _kind(text[i], kinds) & STOP:
            full += (_kind(text[i], kinds) & FULL) != 0
            i += 1
        end = i
        while end < text.size and _kind(text[end], kinds) & CLOSE:
            end += 1
        found += 1 if end == text.size or _kind(text[end], kinds) & SPACE else full
    return found


@serial
def _number(key, keys, count, slots, mask):
    """The number of a key; it is `count`, and written down, if it was not there."""
    at = mix(key) & mask
    while slots[at] >= 0 and keys[slots[at]] != key:
        at = (at + ONE) & mask
    if slots[at] < 0:
        keys[count], slots[at] = key, count
    return slots[at]


@serial
def _repeated(words, lengths, found, slots):
    count = words.size
    number, starts, ids, times = np.empty((4, count), np.int64)
    keys = np.empty(count, np.uint64)
    slots[:] = -1
    mask, different = np.uint64(slots.size - 1), 0
    for i in range(count):
        which = _number(words[i], keys, different, slots, mask)
        different += which == different
        ids[i], number[i], starts[i] = which, which, i
    left = count
    for row in range(found.shape[0]):
        n = row + 2
        while left and starts[left - 1] + n > count:
            left -= 1
        slots[:] = -1
        grams = 0
        for i in range(left):
            key = np.uint64(ids[i]) << HALF | np.uint64(number[starts[i] + n - 1])
            which = _number(key, keys, grams, slots, mask)
            times[which] = 1 if which == grams else times[which] + 1
            grams += which == grams
            ids[i] = which
        left = _row(n, left, lengths, starts, ids, times, found[row])
        if left == 0:
            break


@serial
def _row(n, left, lengths, starts, ids, times, found):
    twice, reached = 0, 0
    for i in range(left):
        start, often = starts[i], times[ids[i]]
        if often < 2:
            continue
        starts[twice], ids[twice] = start, ids[i]
        twice += 1
        characters = 0
        for j in range(start, start + n):
            characters += lengths[j]
            if j >= reached:
                found[2] += lengths[j]
        reached = start + n
        if often > found[0] or (often == found[0] and characters > found[1]):
            found[1] = characters
        found[0] = max(found[0], often)
    return twice
