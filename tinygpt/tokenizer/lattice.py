"""All ways to write a text as pieces: the most likely, and how often each piece is in them.

A text's lattice has a node at each position between bytes and an arc for each piece that stands
there. A piece's score is the logarithm of its probability, a way's score the sum over its pieces.

    best      Viterbi: the best score up to a position is the best, over the arcs that end there, of
              the best up to where the arc begins plus its score; then the way back
    expect    forwards-backwards: the same with sums of probabilities in place of the best, from
              both ends; an arc's share of all ways is before * probability * behind / all

Sums in `best` are rounded to float32 at each step, and a candidate replaces only what is worse, as
in SentencePiece: "a" + "aa" and "aa" + "a" score the same, and only rounding parts them.

c/unigram.c is PythonLattice in C, some hundred times faster; `make_lattice` takes what there is.

Source: Kudo 2018, 3.1 and 3.2.  Read first: naive_unigram.py.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer import compiled

_END = -1  # under it a node of the trie has the (id, score) of the piece that ends there
_NONE = (-math.inf, 0, -1)


def make_lattice(
    pieces: Sequence[bytes], scores: Sequence[float] | np.ndarray,
    ids: Sequence[int] | np.ndarray | None = None,
) -> PythonLattice | compiled.Lattice:
    """One that knows these pieces, in C where it was built.

    pieces: no two alike, none empty.  scores: of each, rounded to float32 here.
    ids: what to call each, below their number or above; None: 0, 1, 2 and so on.
    """
    ids = np.arange(len(pieces)) if ids is None else ids
    kind = compiled.Lattice if compiled.available() else PythonLattice
    return kind(pieces, np.asarray(scores, np.float32), np.asarray(ids, np.int32))


class PythonLattice:
    """The lattice of a list of pieces over any text.  Arguments as `make_lattice`'s."""

    def __init__(self, pieces: Sequence[bytes], scores: np.ndarray, ids: np.ndarray):
        self._trie: dict[int, Any] = {}
        self._n = int(ids.max()) + 1 if len(ids) else 0
        for piece, token, score in zip(pieces, ids.tolist(), scores.tolist(), strict=True):
            node = self._trie
            for byte in piece:
                node = node.setdefault(byte, {})
            node[_END] = token, score

    def _arcs(self, word: bytes, here: int) -> list[tuple[int, int, float]]:
        """(end, id, score) of every piece that begins at a position, the shortest first."""
        node, found = self._trie, []
        for end in range(here + 1, len(word) + 1):
            node = node.get(word[end - 1])  # type: ignore[assignment]
            if node is None:
                break
            if _END in node:
                found.append((end, *node[_END]))
        return found

    def best(
        self, text: bytes, ends: np.ndarray, unknown: float | None = None,
        excluded: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best pieces of each word.

        text, ends: words one after the other; word k ends at ends[k], (W,) int64.
        unknown: score of a UTF-8 character that is no piece, whose id is then -1; None: there are
            none.  excluded: (W,) ids, of each word one that may not be used.
        Returns ids (n,) int32, where in the text each piece ends (n,) int64, and each word's score
        (W,) float32: -inf for one that cannot be written, which has no ids.
        """
        ids, places, totals, begin = list[int](), list[int](), list[float](), 0
        for number, end in enumerate(ends.tolist()):
            without = -2 if excluded is None else int(excluded[number])
            total, path = self._path(text[begin:end], unknown, without)
            totals.append(total)
            for token, place in path:
                ids.append(token)
                places.append(begin + place)
            begin = end
        return np.array(ids, np.int32), np.array(places, np.int64), np.array(totals, np.float32)

    def _path(
        self, word: bytes, unknown: float | None, without: int
    ) -> tuple[float, list[tuple[int, int]]]:
        """(score, [(id, end) of each piece]) of one word."""
        rounded, cells = array("f", [0.0]), [_NONE] * len(word) + [_NONE]
        cells[0] = (0.0, 0, 0)
        for here in range(len(word)):
            till_here = cells[here][0]
            if till_here == -math.inf:
                continue
            arcs = [arc for arc in self._arcs(word, here) if arc[1] != without]
            if unknown is not None:
                end = here + _character_length(word[here])
                if end not in [arc[0] for arc in arcs]:
                    arcs.append((min(end, len(word)), -1, unknown))
            for end, token, score in arcs:
                rounded[0] = till_here + score
                if rounded[0] > cells[end][0]:
                    cells[end] = rounded[0], token, here
        path, at = [], len(word)
        while at and cells[at] is not _NONE:
            path.append((cells[at][1], at))
            at = cells[at][2]
        return cells[-1][0], path[::-1]

    def expect(
        self, text: bytes, ends: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """How often each piece is expected, over all ways to write each word.

        text, ends: as in `best`.  counts: (W,) int64, how often each word occurs.
        Returns (ids,) float64, and the sum of count * log(probability of the word), in nats; a word
        that cannot be written adds nothing.
        """
        expected, likelihood, begin = np.zeros(self._n), 0.0, 0
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
            likelihood += count * self._expect_in(text[begin:end], count, expected)
            begin = end
        return expected, likelihood

    def _expect_in(self, word: bytes, count: int, expected: np.ndarray) -> float:
        """Adds one word's share; returns the logarithm of its probability, 0 if it has none."""
        n = len(word)
        arcs = [self._arcs(word, here) for here in range(n)]
        before, behind = np.full(n + 1, -np.inf), np.full(n + 1, -np.inf)
        before[0] = behind[n] = 0.0
        for here in range(n):
            for end, _, score in arcs[here]:
                before[end] = np.logaddexp(before[end], before[here] + score)
        if before[n] == -np.inf:
            return 0.0
        for here in reversed(range(n)):
            for end, token, score in arcs[here]:
                rest = score + behind[end]
                behind[here] = np.logaddexp(behind[here], rest)
                expected[token] += count * math.exp(before[here] + rest - before[n])
        return float(before[n])


def _character_length(first: int) -> int:
    """Bytes of a UTF-8 character that begins with this one."""
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
