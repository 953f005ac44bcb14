"""What is nearly the same: word 5-grams, MinHash, bands, and the true Jaccard index as the judge.

A text is normalised (lower case, digits as 0, no punctuation, one space), cut into shingles of five
words (nine characters in scripts without spaces), and signed (kernels: minhash). A signature of
BANDS x ROWS numbers becomes BANDS keys; two documents are *candidates* if a key is equal. With
Jaccard index s a row agrees with probability s, a band with s^r, and so

    P(candidate) = 1 - (1 - s^r)^b      b = 20, r = 6:   s = .5: .27   .6: .61   .7: .92   .8: .998

Candidates are compared by their shingles themselves, so nothing is called a copy that is not: the
bands decide what is found, never what is true. Diacritics stay; without them words of Yoruba or
Vietnamese would be the same that are not.

**Groups.** A band's documents with equal keys are gone through in order of preference; each is
compared with those before it that are no copies (the representatives). Were it compared with all,
a licence that a thousand files carry would take half a million comparisons. What is lost: two
copies m, n of a representative r are not compared with each other. But 1 - J is a metric, so with
J(r, m) and J(m, n) at least .8, J(r, n) is at least .6: that is why clusters join from .6 on.

Read next: grouping.py.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minigrad.ops.minhash import minhash_signature, shingle_hashes
from tinygpt.curation.rules.view import UNSPACED, UNSPACED_SHARE

WORDS, CHARACTERS = 5, 9  # in a shingle
BANDS, ROWS = 20, 6
LOOSE_BANDS, LOOSE_ROWS = 32, 4  # of the search that proves a split: s = .5: .87   .6: .99
REPRESENTATIVES = 64  # of a band's group; beyond them documents are not compared there

TABLE = bytes.maketrans(
    (string.ascii_uppercase + string.digits + string.whitespace).encode(),
    (string.ascii_lowercase + "0" * 10 + " " * len(string.whitespace)).encode(),
)
ASCII_PUNCTUATION = string.punctuation.encode()
PUNCTUATION = re.compile(
    "[\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u303f"
    "\u0964\u0965\uff01-\uff0f]"
)


def _functions(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The factors and offsets of `count` hash functions, the same always."""
    drawn = np.random.default_rng(seed).integers(0, 2**64, (2, count), np.uint64, endpoint=False)
    return drawn[0] | np.uint64(1), drawn[1]


FUNCTIONS = _functions(BANDS * ROWS, 0)
LOOSE_FUNCTIONS = _functions(LOOSE_BANDS * LOOSE_ROWS, 1)  # others: a search of its own
_POWERS = _functions(max(ROWS, LOOSE_ROWS), 2)[0]


def shingles(text: str) -> np.ndarray:
    """The hashes of a text's shingles, (shingles,) uint64, sorted, each once."""
    unspaced = is_unspaced(text)
    n = CHARACTERS if unspaced else WORDS
    hashes = np.sort(shingle_hashes(normalized(text, unspaced), n))
    new = np.ones(len(hashes), bool)
    np.not_equal(hashes[1:], hashes[:-1], out=new[1:])
    return hashes[new]


def is_unspaced(text: str) -> bool:
    """Whether a text is in a script without spaces, whose words are its characters here."""
    return not text.isascii() and len(UNSPACED.findall(text)) > UNSPACED_SHARE * len(text)


def normalized(text: str, unspaced: bool | None = None) -> np.ndarray:
    """A text as one looks for it, (bytes,) uint8.  unspaced: None asks is_unspaced."""
    low = text.lower()
    if not low.isascii():
        low = PUNCTUATION.sub("", low)
        if is_unspaced(text) if unspaced is None else unspaced:
            low = " ".join("".join(low.split()))
    data = low.encode("utf-8", "replace").translate(TABLE, ASCII_PUNCTUATION)
    return np.frombuffer(data, np.uint8)


def signature(hashes: np.ndarray) -> np.ndarray:
    """A document's numbers for all bands, (BANDS * ROWS + LOOSE_BANDS * LOOSE_ROWS,) uint32."""
    return np.concatenate([
        minhash_signature(hashes, *functions) for functions in (FUNCTIONS, LOOSE_FUNCTIONS)
    ])


def banded(signatures: Sequence[np.ndarray]) -> np.ndarray:
    """(BANDS + LOOSE_BANDS, documents) uint64: a band's numbers as one key."""
    count, sizes = len(signatures), (BANDS * ROWS, LOOSE_BANDS * LOOSE_ROWS)
    numbers = np.array(signatures, np.uint32).reshape(count, sum(sizes))
    made = []
    for held, rows in zip(np.split(numbers, sizes[:1], axis=1), (ROWS, LOOSE_ROWS), strict=True):
        held = held.reshape(count, held.shape[1] // rows, rows).T
        folded = held[0].astype(np.uint64)                              # (bands, documents)
        for row in range(1, rows):
            folded = (folded ^ folded >> np.uint64(29)) * _POWERS[row] + held[row]
        made.append(folded)
    return np.concatenate(made)


def keys(hashes: np.ndarray) -> np.ndarray:
    """(BANDS + LOOSE_BANDS,) uint64: equal in a band where two documents are candidates."""
    return banded([signature(hashes)])[:, 0]


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """The Jaccard index of two sets, each sorted and without repeats; 1 for two empty ones."""
    if not len(a) or not len(b):
        return float(len(a) == len(b))
    if len(a) > len(b):
        a, b = b, a
    at = np.searchsorted(b, a)
    both = int((b[np.minimum(at, len(b) - 1)] == a).sum())
    return both / (len(a) + len(b) - both)


class UnionFind:
    """Sets that join.  Each is called by the least of its numbers."""

    def __init__(self, count: int):
        self.parent = np.arange(count)

    def find(self, i: int) -> int:
        parent = self.parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return int(i)

    def join(self, i: int, j: int) -> bool:
        """Make one set of two; False if they were one."""
        i, j = self.find(i), self.find(j)
        self.parent[max(i, j)] = min(i, j)
        return i != j

    def names(self) -> np.ndarray:
        """(count,) int64: what the set of each is called."""
        names = self.parent
        while True:  # every round halves the way
            above = names[names]
            if (above == names).all():
                return names
            names = above


def groups(key: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the documents whose key in one band is equal, where two or more are."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    for i in np.flatnonzero(np.diff(edges) > 1).tolist():
        yield order[edges[i] : edges[i + 1]]


class Search:
    """Pairs of documents that are alike, found band by band.

    shingles_of: the shingles of a document by its number.  least: the Jaccard index from which
    a pair is told of; copies: from which a document represents another.
    compared: how many pairs were looked at.
    """

    def __init__(self, shingles_of: Callable[[int], np.ndarray], least: float, copies: float):
        self._of, self._least, self._copies = shingles_of, least, copies
        self._seen: dict[tuple[int, int], float] = {}
        self.compared = 0

    def band(self, key: np.ndarray, worth: Callable[[int, int], bool]) -> Iterator[
        tuple[int, int, float]
    ]:
        """(preferred, other, J) of pairs with an equal key and J of at least `least`.

        key: (documents,) uint64, the documents in order of preference.
        worth: whether a pair is to be looked at.
        """
        for group in groups(key):
            representatives: list[int] = []
            for j in group.tolist():
                represented = False
                for i in representatives:
                    if not worth(i, j):
                        continue
                    alike = self._alike(i, j)
                    if alike >= self._least:
                        yield i, j, alike
                    represented = represented or alike >= self._copies
                if not represented and len(representatives) < REPRESENTATIVES:
                    representatives.append(j)

    def _alike(self, i: int, j: int) -> float:
        known = self._seen.get((i, j))
        if known is None:
            known = self._seen[i, j] = jaccard(self._of(i), self._of(j))
            self.compared += 1
        return known
