"""A text as words, and what of it stands there twice: the counting under the rules of repetition.

    split_words        characters -> a hash and a length for each word, and three counts
    repeated_ngrams    words -> for n = 2 ... most: the commonest n words in a row, and how many
                       characters lie in any n words that stand there twice

What a character is, the caller says: a table of KINDS, one byte for each code point, so that
neither Unicode nor a language is written into a kernel. A *token* is what stands between SPACE; a
*word* is a token without the EDGE characters at its ends, and a token of nothing else is no word.

Every n-gram that occurs twice begins with an (n-1)-gram that does, so each n looks only at what the
one before has left: of ordinary text next to nothing from n = 5 on.

Two words are taken for one if 64 bits of hash are equal: among a million different words that
happens once in 37 million texts.

Also written in: numba_jit/word_ngrams.py, c/word_ngrams.c.  Read next: minhash.py.
"""

import numpy as np

from kernels import checks
from kernels.numpy_ref.minhash import P, mix, powers

# Kinds of characters, one bit each.
SPACE, LETTER, EDGE = 1, 2, 4  # between tokens; in a word; cut off a token's ends
STOP, CLOSE, FULL = 8, 16, 32  # ends a sentence; may follow STOP; a STOP that needs no space


def split_words(text, kinds, every):
    """The words of a text.

    text: (size,) uint32, code points.  kinds: (known,) uint8; from `known` on they have none.
    every: whether each character is a token, as in scripts without spaces.
    Returns (hashes (words,) uint64, lengths (words,) int64 in characters, counts (3,) int64):
    tokens, tokens without a LETTER, sentences.

    A sentence ends in a run of STOP, then any of CLOSE, then SPACE or the end of the text; where
    something else follows, each FULL of the run ends one.
    Raises TypeError for another dtype, ValueError for another shape.
    """
    checks.words(text, kinds)
    if not len(text):
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.zeros(3, np.int64)
    kind = np.append(kinds, np.uint8(0))[np.minimum(text, len(kinds))]
    inside = (kind & SPACE) == 0
    begins = inside.copy()
    if not every:
        begins[1:] &= ~inside[:-1]
    token = np.cumsum(begins) - 1  # of each character that is in one
    tokens = int(begins.sum())
    lettered = np.unique(token[inside & (kind & LETTER > 0)])
    counts = np.array([tokens, tokens - len(lettered), _sentences(kind)])
    core = np.flatnonzero(inside & (kind & EDGE == 0))
    if not len(core):
        return np.empty(0, np.uint64), np.empty(0, np.int64), counts
    _, first = np.unique(token[core], return_index=True)
    starts, ends = core[first], core[np.append(first[1:], len(core)) - 1] + 1
    lengths = ends - starts
    offsets = np.cumsum(lengths) - lengths
    exponents = np.repeat(ends - 1, lengths)
    places = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
    exponents -= places
    # as a word of minhash.py: sum_i (c_i + 1) P^(len - 1 - i), mixed
    terms = (text[places].astype(np.uint64) + np.uint64(1)) * powers(P, lengths.max())[exponents]
    return mix(np.add.reduceat(terms, offsets)), lengths, counts


def _sentences(kind):
    size = len(kind)
    stop = np.concatenate([[False], kind & STOP > 0, [False]])
    starts = np.flatnonzero(stop[1:] & ~stop[:-1])
    ends = np.flatnonzero(~stop[1:] & stop[:-1])
    # for each place the first at or after it that is not CLOSE
    beyond = np.where(kind & CLOSE > 0, size, np.arange(size))
    beyond = np.append(np.minimum.accumulate(beyond[::-1])[::-1], size)[ends]
    whole = np.append(kind & SPACE > 0, True)[beyond]
    full = np.cumsum(np.append(0, kind & FULL > 0))
    return int(whole.sum() + (full[ends] - full[starts])[~whole].sum())


def repeated_ngrams(words, lengths, most):
    """What n-grams of words repeat, for n = 2 ... most.

    words: (count,) uint64, equal where words are.  lengths: (count,) int64, their characters.
    Returns (most - 1, 3) int64, a row for each n:
      how often its commonest n-gram stands there, 0 where none does twice;
      the characters of one such, of ties the longest;
      the characters of the words inside any that stands there twice, each counted once.
    Raises TypeError for another dtype, ValueError for other shapes or `most` below 2.
    """
    checks.ngrams(words, lengths, most)
    found = np.zeros((most - 1, 3), np.int64)
    before = np.append(0, np.cumsum(lengths))  # characters before each word
    number = np.unique(words, return_inverse=True)[1]
    starts, ids = np.arange(len(words)), number
    for n in range(2, most + 1):
        fits = starts + n <= len(words)
        starts, ids = starts[fits], ids[fits]
        if not len(starts):
            break
        key = ids * len(words) + number[starts + n - 1]
        _, ids, times = np.unique(key, return_inverse=True, return_counts=True)
        twice = times[ids] > 1
        starts, ids = starts[twice], ids[twice]
        if not len(starts):
            break
        best = starts[times[ids] == times.max()]
        inside = np.zeros(len(words) + 1, np.int64)
        np.add.at(inside, starts, 1)
        np.add.at(inside, starts + n, -1)
        covered = lengths[np.cumsum(inside)[:-1] > 0].sum()
        found[n - 2] = times.max(), (before[best + n] - before[best]).max(), covered
    return found
