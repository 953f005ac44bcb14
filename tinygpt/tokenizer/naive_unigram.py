"""The Unigram tokenizer in sixty lines: what lattice.py and unigram_trainer.py do, but slowly.

BPE builds up; Unigram prunes. Every piece has a probability, and a word written as pieces has the
product of theirs. Training begins with far too many pieces, every substring that occurs twice, and
repeats two steps: expectation maximization finds the probabilities that make the words likely, and
pruning throws away the pieces whose loss costs least. Encoding takes the most likely way to write a
word, among all ways. Here all ways are listed one by one, which takes forever and hides nothing:
this is the oracle that tests hold the fast versions against.

Source: Kudo 2018 (Subword Regularization), 3.2.  Read next: lattice.py, then unigram_trainer.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

Scores = dict[str, float]  # piece -> logarithm of its probability


def ways(word: str, scores: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Every way to write a word as pieces.

    >>> sorted(ways("abc", {"a": -1.0, "b": -1.0, "c": -1.0, "ab": -1.0}))
    [('a', 'b', 'c'), ('ab', 'c')]
    """
    if not word:
        yield ()
    for end in range(1, len(word) + 1):
        if word[:end] in scores:
            for rest in ways(word[end:], scores):
                yield word[:end], *rest


def score(way: tuple[str, ...], scores: Mapping[str, float]) -> float:
    """The logarithm of the probability of a way to write a word."""
    return sum(scores[piece] for piece in way)


def encode(word: str, scores: Mapping[str, float]) -> tuple[str, ...]:
    """The most likely way to write a word.

    >>> encode("abc", {"a": -3.0, "b": -3.0, "c": -1.0, "ab": -4.0})
    ('ab', 'c')
    """
    return max(ways(word, scores), key=lambda way: score(way, scores))


def expect(words: Mapping[str, int], scores: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """How often each piece is expected, and the logarithm of the words' probability.

    A word that occurs n times counts n times, shared among its ways by their probability.

    >>> half, quarter = math.log(0.5), math.log(0.25)
    >>> counts, total = expect({"ab": 2}, {"a": half, "b": half, "ab": quarter})
    >>> {piece: round(count, 6) for piece, count in counts.items()}, round(total / half, 6)
    ({'a': 1.0, 'b': 1.0, 'ab': 1.0}, 2.0)
    """
    expected, likelihood = dict.fromkeys(scores, 0.0), 0.0
    for word, count in words.items():
        probability = {way: math.exp(score(way, scores)) for way in ways(word, scores)}
        total = sum(probability.values())
        likelihood += count * math.log(total)
        for way, share in probability.items():
            for piece in way:
                expected[piece] += count * share / total
    return expected, likelihood


def maximize(expected: Mapping[str, float]) -> Scores:
    """Scores from counts; a piece that is never expected goes, unless it is a character."""
    kept = {p: max(n, 1e-6) for p, n in expected.items() if n > 0.5 or len(p) == 1}
    return {piece: math.log(count / sum(kept.values())) for piece, count in kept.items()}


def train(words: Mapping[str, int], n_pieces: int) -> Scores:
    """Learn n_pieces pieces, all characters among them, from words and how often each occurs."""
    substrings = Counter[str]()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, len(word) + 1):
                substrings[word[start:end]] += count
    seeds = {p: n * len(p) for p, n in substrings.items() if n > 1 or len(p) == 1}
    scores = {p: math.log(n / sum(seeds.values())) for p, n in seeds.items()}
    while True:
        for _ in range(2):
            scores = maximize(expect(words, scores)[0])
        if len(scores) <= n_pieces:
            return scores
        _, whole = expect(words, scores)
        costs = {
            piece: whole - expect(words, {p: s for p, s in scores.items() if p != piece})[1]
            for piece in scores if len(piece) > 1
        }
        keep = max(n_pieces, int(0.75 * len(scores)))
        for piece in sorted(costs, key=lambda p: costs[p])[: len(scores) - keep]:
            del scores[piece]
