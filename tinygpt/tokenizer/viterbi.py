"""The most likely way to write a text as pieces: Viterbi's algorithm over positions.

Each piece has a score, the logarithm of its probability, and a text's score is the sum over its
pieces (Kudo 2018, 3.1). The best score up to a position is the best, over the pieces that end
there, of the best up to where the piece begins plus its score: one pass from left to right, looking
up at each position the pieces that begin there, in a trie. Then the way back says which they were.

Sums are rounded to float32 at each step and a candidate replaces only what is worse, as
SentencePiece does, since "a" + "aa" and "aa" + "a" score the same and only rounding parts them.
c/unigram.c is `viterbi` in C.

Read first: naive_unigram.py.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

Trie = dict[str, Any]  # character -> node; under "" the (id, score) of the piece that ends here
_END = ""
UNKNOWN_PENALTY = 10.0  # nats below the worst piece


def make_trie(pieces: Mapping[str, int], scores: Iterable[float]) -> Trie:
    """pieces: text -> id.  scores: of each, in the same order."""
    root: Trie = {}
    for (text, token), score in zip(pieces.items(), scores, strict=True):
        node = root
        for character in text:
            node = node.setdefault(character, {})
        node[_END] = token, score
    return root


def viterbi(text: str, trie: Trie, unknown: int, unknown_score: float) -> list[tuple[int, int]]:
    """The best pieces of a text, as (id, length in characters).

    unknown, unknown_score: of a character that is no piece by itself.
    """
    n = len(text)
    best, rounded = array("f", bytes(4 * (n + 1))), array("f", [0.0])
    token, start = [0] * (n + 1), [-1] * (n + 1)
    for here in range(n):
        till_here, node, end = best[here], trie, here
        found = []
        while end < n and text[end] in node:
            node = node[text[end]]
            end += 1
            if _END in node:
                found.append((end, *node[_END]))
        if not found or found[0][0] > here + 1:
            found.append((here + 1, unknown, unknown_score))
        for end, piece, score in found:
            rounded[0] = till_here + score
            if start[end] < 0 or rounded[0] > best[end]:
                best[end], start[end], token[end] = rounded[0], here, piece
    path = []
    while n:
        path.append((token[n], n - start[n]))
        n = start[n]
    return path[::-1]
