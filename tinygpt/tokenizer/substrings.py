"""The substrings that occur again and again, by a suffix array: the seeds of a Unigram vocabulary.

A text of n characters has n * n / 2 substrings. Sorted, its suffixes show them all at once: those
that begin with the same k characters stand together, so the number of times a substring occurs is
the length of a run. Two neighbours in that order share a prefix, and where its length falls below
k, a run of k characters ends.

No piece crosses a word or is longer than 16 characters, so 16 is as far as suffixes are compared,
and ranks of 1, 2, 4 and 8 characters, each made of two of the last, sort them in four rounds
(Manber and Myers 1993). A substring that is always followed by the same character is left out: the
longer one occurs as often (these are the inner nodes of the suffix tree).

Read next: unigram_trainer.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST = 16  # characters of a piece, as in SentencePiece


def frequent_substrings(
    words: Sequence[str], counts: Sequence[int], n: int, min_count: int = 2
) -> tuple[list[str], np.ndarray]:
    """At most n substrings of 2 to 16 characters, those that cover the most characters first.

    words, counts: distinct words, and how often each occurs.  min_count: rarer ones are left out.
    Returns them and how often each occurs, (k,) int64. A lone surrogate, which is a byte that is
    not UTF-8, is in none.
    """
    points = np.frombuffer("\0".join([*words, ""]).encode("utf-32-le", "surrogatepass"), "<u4")
    points = np.where((points >= 0xD800) & (points < 0xE000), 0, points).astype(np.int64)
    weights = np.repeat(np.array(counts, np.int64), [len(word) + 1 for word in words])
    ends = np.flatnonzero(points == 0)
    room = ends[np.searchsorted(ends, np.arange(len(points)))] - np.arange(len(points))
    order = suffix_array(points, room)
    order = order[room[order] > 1]  # what has two characters to the end of its word
    room, shared, freed = room[order], common_prefixes(points, order), weights[order]
    starts, lengths, totals = [], [], []
    longer = np.zeros(len(order), np.int64)  # at the first of a run of k + 1: its total
    for k in range(min(LONGEST, int(room.max(initial=0))), 1, -1):
        here = np.flatnonzero(room >= k)
        first = np.flatnonzero(_begins(shared, here, k))
        total = np.add.reduceat(freed[here], first) if len(first) else freed[:0]
        at = here[first]
        found = (total >= min_count) & (total != longer[at])
        starts.append(order[at[found]])
        lengths.append(np.full(int(found.sum()), k))
        totals.append(total[found])
        longer[:] = 0
        longer[at] = total
    start, length, total = (np.concatenate(part) if part else freed[:0]
                            for part in (starts, lengths, totals))
    best = np.lexsort((start, -total * length))[:n]
    text = points.astype("<u4").tobytes().decode("utf-32-le")
    spans = zip(start[best].tolist(), length[best].tolist(), strict=True)
    return [text[begin : begin + size] for begin, size in spans], total[best]


def suffix_array(points: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The positions of a text in the order of the 16 characters from each on.

    points: (n,) code points.  room: (n,) characters to the end of each position's word, beyond
        which nothing is compared.
    """
    rank, k = points, 1
    while k < LONGEST:
        behind = np.zeros_like(rank)
        behind[:-k] = np.where(room[:-k] > k, rank[k:] + 1, 0)
        pair = (rank + 1) * (int(rank.max(initial=0)) + 3) + behind
        rank = np.unique(pair, return_inverse=True)[1].astype(np.int64)
        k *= 2
    return np.argsort(rank, kind="stable")


def common_prefixes(points: np.ndarray, order: np.ndarray) -> np.ndarray:
    """How many of 16 characters each position of `order` shares with the one before it, (n,)."""
    shared = np.zeros(len(order), np.int64)
    same = np.ones(max(0, len(order) - 1), bool)
    padded = np.concatenate([points, np.zeros(LONGEST, np.int64)])
    for k in range(LONGEST):
        column = padded[order + k]
        same &= (column[1:] == column[:-1]) & (column[1:] != 0)
        shared[1:] += same
    return shared


def _begins(shared: np.ndarray, here: np.ndarray, k: int) -> np.ndarray:
    """Of the positions `here`, in order, that have k characters: where a run of alike begins."""
    if not len(here):
        return np.zeros(0, bool)
    # Others may stand between two of them: the least that neighbours share is what the two share.
    least = np.minimum.reduceat(shared[: here[-1] + 1], np.append(0, here[:-1] + 1))
    return least < k
