"""Learning a Unigram vocabulary: begin with too many pieces, keep those that are worth their place.

    1. count      how often does each distinct word occur?                        (counting.py)
    2. seed       the substrings that cover the most text, by a suffix array      (substrings.py)
    3. estimate   expectation maximization, two rounds of it                      (lattice.py)
    4. prune      throw away a quarter, those whose loss costs least; again from 3
    5. finish     the most likely as far as the vocabulary goes, the 256 bytes always

Two of these are not what a textbook says, and both are SentencePiece's. In 3 a count n becomes
exp(digamma(n)), less than n by about a half: what is expected once or twice loses most of it, and
so the many rare pieces make room for the few that work (a sparse prior; Liang and Klein 2007). In 4
the cost of a piece is not measured but reckoned: all its occurrences in the most likely ways go to
the second best way to write it, and everything else stays as it is.

Source: Kudo 2018, 3.2.  Read first: naive_unigram.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tinygpt.tokenizer.base import DEFAULT_SPECIAL_TOKENS, Text, Tokenizer
from tinygpt.tokenizer.bpe import BYTES
from tinygpt.tokenizer.counting import WordCounts
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.lattice import make_lattice
from tinygpt.tokenizer.substrings import frequent_substrings
from tinygpt.tokenizer.trainer import check_vocab_size, train_bpe
from tinygpt.tokenizer.unigram import UnigramTokenizer

Progress = Callable[[int, int], None]  # (pieces left, pieces wanted)

SHRINK = 0.75  # what a pruning keeps
ROUNDS = 2  # of expectation maximization between prunings
SPARE = 1.1  # the last pruning leaves a tenth more than wanted, and their scores choose
SEEDS_A_PIECE = 30  # seeds for each piece wanted: beyond that nothing is gained
MOST_SEEDS = 1_000_000
MOST_CHARACTERS = 1 << 22  # of distinct words that seeds are looked for in, the most common first
LONGEST_WORD = 1 << 12  # bytes; of longer ones nothing is learned
COVERED = 0.9995  # of all characters have a piece of their own, the rest is written as bytes
RARE = 0.5  # a piece expected less often goes
UNSEEN = 10.0  # nats: what a byte that was never needed scores below the worst piece


def train_unigram(
    texts: Text | Iterable[Text],
    vocab_size: int,
    pattern: str = "cl100k",
    special_tokens: Iterable[str] = DEFAULT_SPECIAL_TOKENS,
    progress: Progress | None = None,
) -> UnigramTokenizer:
    """Train a Unigram tokenizer.  Arguments, errors and the order of ids as `train_bpe`'s."""
    special_tokens = tuple(dict.fromkeys(special_tokens))
    check_vocab_size(vocab_size, special_tokens)
    with WordCounts(pattern) as words:
        for text in [texts] if isinstance(texts, (str, bytes)) else texts:
            words.add(text)
        return train_unigram_on_words(words, vocab_size, special_tokens, progress)


def train_unigram_on_words(
    words: WordCounts,
    vocab_size: int,
    special_tokens: Iterable[str] = DEFAULT_SPECIAL_TOKENS,
    progress: Progress | None = None,
) -> UnigramTokenizer:
    """`train_unigram` for text that has been counted already.  Arguments and errors as there."""
    special_tokens = tuple(dict.fromkeys(special_tokens))
    n_pieces = check_vocab_size(vocab_size, special_tokens)
    if not words:
        raise TokenizerError("there is no text to train a tokenizer on. Give a text that has some.")
    if words.spilled:
        raise TokenizerError(
            "a Unigram tokenizer is trained in memory, and the limit on it is too small for the "
            "words of this text. Allow more."
        )
    pieces, scores = learn_pieces(dict(words.items()), n_pieces, progress)
    first = 256 + len(pieces)
    specials = {name: first + i for i, name in enumerate(special_tokens)}
    return UnigramTokenizer(pieces, scores, words.pattern, specials)


def learn_pieces(
    words: Mapping[bytes, int], n_pieces: int, progress: Progress | None = None
) -> tuple[list[bytes], np.ndarray]:
    """Stages 2 to 5.

    words: distinct words and how often each occurs.
    Returns at most n_pieces pieces, the most likely first, and the scores of the 256 bytes (in
    GPT-2's order) and of the pieces, (256 + n,) float32.
    """
    ordered = sorted((w, c) for w, c in words.items() if len(w) <= LONGEST_WORD)
    text, counts = b"".join(w for w, _ in ordered), np.array([c for _, c in ordered], np.int64)
    ends = np.cumsum([len(w) for w, _ in ordered], dtype=np.int64)
    fixed = [bytes([byte]) for byte in BYTES] + characters(ordered)[:n_pieces]
    pieces, frequency = seeds(ordered, fixed, min(MOST_SEEDS, SEEDS_A_PIECE * max(n_pieces, 100)))
    scores = np.log(frequency / frequency.sum())
    while True:
        for _ in range(ROUNDS):
            expected, _ = make_lattice(pieces, scores).expect(text, ends, counts)
            pieces, scores = maximize(pieces, expected, len(fixed))
        if progress:
            progress(len(pieces) - 256, n_pieces)
        if len(pieces) - 256 <= SPARE * n_pieces:
            break
        left = max(int(SPARE * n_pieces), int(SHRINK * (len(pieces) - 256)))
        pieces, scores = prune(pieces, scores, text, ends, counts, 256 + left, len(fixed))
    best = np.argsort(-scores[len(fixed) :], kind="stable")[: n_pieces + 256 - len(fixed)]
    chosen = np.concatenate([np.arange(256, len(fixed)), len(fixed) + best])
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    kept = np.concatenate([np.arange(256), chosen])
    return [pieces[i] for i in chosen.tolist()], scores[kept].astype(np.float32)


def seeds(
    words: list[tuple[bytes, int]], fixed: list[bytes], n: int
) -> tuple[list[bytes], np.ndarray]:
    """Stage 2: the fixed pieces (bytes and characters), then at most n substrings.

    Returns them and how much text each covers, (k,) float64.
    """
    common = sorted(words, key=lambda item: (-item[1], item[0]))
    sizes = np.cumsum([len(word) for word, _ in common])
    common = common[: max(1, int(np.searchsorted(sizes, MOST_CHARACTERS, side="right")))]
    found, total = frequent_substrings(
        [word.decode("utf-8", "surrogateescape") for word, _ in common],
        [count for _, count in common], n,
    )
    counts: Counter[str] = Counter()
    for word, count in words:
        for character in word.decode("utf-8", "surrogateescape"):
            counts[character] += count
    alone = [counts[piece.decode("utf-8", "surrogateescape")] for piece in fixed]
    cover = total * np.array([len(piece) for piece in found], np.float64)
    return fixed + [piece.encode() for piece in found], np.maximum([*alone, *cover], 0.01)


def characters(words: list[tuple[bytes, int]]) -> list[bytes]:
    """The characters of several bytes that are always pieces, the most common first.

    The rarest, one occurrence of 2,000, are left to bytes.
    """
    counts: Counter[str] = Counter()
    everything = 0
    for word, count in words:
        text = word.decode("utf-8", "surrogateescape")
        everything += len(text) * count
        for character in "" if text.isascii() else text:
            if character > "\x7f" and not "\ud800" <= character <= "\udfff":
                counts[character] += count
    common = sorted(counts, key=lambda c: (-counts[c], c))
    rest = np.cumsum([counts[c] for c in reversed(common)])[::-1]  # from each one on
    return [c.encode() for c, left in zip(common, rest, strict=True)
            if left > everything * (1 - COVERED)]


def maximize(
    pieces: list[bytes], expected: np.ndarray, fixed: int
) -> tuple[list[bytes], np.ndarray]:
    """Stage 3, second half: scores from counts.  The first `fixed` stay, other rare ones go."""
    kept = np.flatnonzero((expected >= RARE) | (np.arange(len(expected)) < fixed))
    pieces, expected = [pieces[i] for i in kept.tolist()], expected[kept]
    seen = expected >= RARE
    scores = digamma(np.where(seen, expected, 1.0)) - digamma(expected[seen].sum(keepdims=True))
    scores[~seen] = scores[seen].min(initial=0.0) - UNSEEN
    return pieces, scores


def prune(
    pieces: list[bytes], scores: np.ndarray, text: bytes, ends: np.ndarray, counts: np.ndarray,
    left: int, fixed: int,
) -> tuple[list[bytes], np.ndarray]:
    """Stage 4: `left` pieces, the first `fixed` and those that cost most to lose."""
    lattice, n = make_lattice(pieces, scores), len(pieces)
    ids, places, _ = lattice.best(text, ends)
    often = counts[np.searchsorted(ends, places)]  # of the word that each stands in
    used = np.bincount(ids, often, n)

    spelled = b"".join(pieces[fixed:])
    borders = np.cumsum([len(piece) for piece in pieces[fixed:]], dtype=np.int64)
    own = np.arange(fixed, n)
    others, places, other_scores = lattice.best(spelled, borders, excluded=own)
    of = np.searchsorted(borders, places)  # which piece each of the others is a part of
    parts = np.bincount(of, minlength=n - fixed)

    total, use = used.sum(), used[fixed:]
    some = np.maximum(use, 1)  # for logarithms; what is not used costs nothing to lose
    alone = np.log(used[others] + some[of])
    without = np.bincount(of, alone, n - fixed) - parts * np.log(total + some * (parts - 1))
    cost = np.where(use > 0, use * (np.log(some / total) - without), -np.inf)
    cost[other_scores > scores[fixed:].astype(np.float32)] = -np.inf  # never the best way
    keep = np.sort(np.argsort(-cost, kind="stable")[: max(0, left - fixed)])
    keep = fixed + keep[cost[keep] > -np.inf]
    chosen = np.concatenate([np.arange(fixed), keep])
    return [pieces[i] for i in chosen.tolist()], scores[chosen]


def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log(gamma(x)), for x > 0, to 1e-8.

    By the recurrence up to 6 and then the asymptotic series.  Source: Bernardo 1976 (AS 103).
    """
    x = np.array(x, np.float64)
    result = np.zeros_like(x)
    while (small := x < 6).any():
        result[small] -= 1 / x[small]
        x[small] += 1
    r = 1 / (x * x)
    return result + np.log(x) - 0.5 / x - r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r / 240)))


# tokenizer.kind -> what trains one, all with the same arguments.
TRAINERS: dict[str, Callable[..., Tokenizer]] = {"bpe": train_bpe, "unigram": train_unigram}
