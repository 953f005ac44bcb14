"""A model that only counts: interpolated Kneser-Ney over the last characters, in NumPy.

    p_n(w | h) = (max(c(h w) - D, 0) + D t(h) p_(n-1)(w | h')) / c(h),    p_0 = 1 / V

h is the n - 1 characters before w, h' the same without the first; c counts, t(h) is how many
different characters have followed h, and D is taken off every count, for the shorter context. The
longest context counts how often w followed it. The shorter ones count after how many different
characters h w stood, since they are asked where the longer one has not seen enough (Kneser and Ney
1995; interpolated: Chen and Goodman 1998).

What a transformer has to beat that is as small as the text: on the board "any model" of
../../bench/LEADERBOARD.md, and beside every evaluation on a text
(../evaluation/language_modelling.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class Counts:
    """How often each n-gram occurred: sorted codes, and what belongs to each context."""

    def __init__(self, codes: np.ndarray, counts: np.ndarray, size: int):
        """codes: (n,) int64, sorted, distinct: a context's code times `size` plus a character."""
        self.codes, self.counts, self.size = codes, counts, size
        contexts = codes // size
        starts = np.flatnonzero(np.r_[True, contexts[1:] != contexts[:-1]])
        self.contexts = contexts[starts]
        self.types = np.diff(np.r_[starts, len(codes)])
        self.totals = np.add.reduceat(counts, starts)

    def discount(self) -> float:
        """n1 / (n1 + 2 n2): how much a count is too high (Ney, Essen and Kneser 1994)."""
        once, twice = np.sum(self.counts == 1), np.sum(self.counts == 2)
        return float(once / max(once + 2 * twice, 1)) or 0.5

    def weigh(self, codes: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """Probabilities of n-grams (N,) where those of the shorter contexts are `shorter` (N,)."""
        discount = self.discount()
        count = find(self.codes, self.counts, codes)
        total = find(self.contexts, self.totals, codes // self.size)
        types = find(self.contexts, self.types, codes // self.size)
        mixed = np.maximum(count - discount, 0) + discount * types * shorter
        return np.where(total > 0, mixed / np.maximum(total, 1), shorter)


def find(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values[i] where keys[i] == wanted, 0 where there is none.  keys: sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def codes_of(ids: np.ndarray, order: int, size: int) -> np.ndarray:
    """The code of the n-gram that ends at each of ids[order - 1 :], first character first."""
    code = np.zeros(len(ids) - order + 1, np.int64)
    for before in range(order):
        code = code * size + ids[before : before + len(code)]
    return code


def growing(train: np.ndarray, size: int, orders: int) -> Iterator[list[Counts]]:
    """The models of order 1, 2, ... of a text (N,) of ids below `size`: the counts of each order.

    size^orders must be below 2^63.
    """
    lower: list[Counts] = []
    for order in range(1, orders + 1):
        codes, counts = np.unique(codes_of(train, order, size), return_counts=True)
        if order > 1:  # each distinct n-gram is one more character that its rest stood after
            rests = codes % size ** (order - 1)
            lower.append(Counts(*np.unique(rests, return_counts=True), size))
        yield [*lower, Counts(codes, counts, size)]


def loss(model: list[Counts], held: np.ndarray, size: int) -> float:
    """Mean nats of every character of `held` but the first len(model) - 1, each after those."""
    return float(-np.log(probabilities(model, held, size)).mean())


def probabilities(model: list[Counts], held: np.ndarray, size: int) -> np.ndarray:
    """Of every character of `held`, (N,), but the first n - 1 = len(model) - 1: (N - n + 1,)."""
    longest = len(model)
    ahead = codes_of(held, longest, size)
    probability = np.full(len(ahead), 1 / size)
    for order, counts in enumerate(model, 1):
        probability = counts.weigh(ahead % size**order, probability)
    return probability
