"""Byte pair encoding in forty lines: what every other file of this folder does, but slowly.

Start from the 256 bytes. Training: count all pairs of neighbours, give the most frequent pair an
id of its own, replace it everywhere, repeat. Encoding: replay those merges, earliest learned
first. Nothing here is clever, so nothing here is wrong: this is the oracle that tests hold the
fast trainer and the fast encoder against.

Source: Gage 1994 (the compression method); Sennrich et al. 2016 (for words); Radford et al. 2019
(over bytes).  Read next: pretokenize.py, then trainer.py and bpe.py, the same thing made fast.
"""

from __future__ import annotations

from collections import Counter

Pair = tuple[int, int]


def train(words: list[list[int]], n_merges: int) -> list[Pair]:
    """Learn merges.  words: one list of byte ids per pre-token of the text, repeats included.

    Returns pairs of ids in the order learned; merge number i makes the token 256 + i.
    Ties: the highest count wins, then the smaller pair of ids.

    >>> train([[97, 97, 98], [97, 97, 98], [97, 99]], n_merges=2)  # aab aab ac
    [(97, 97), (256, 98)]
    """
    merges: list[Pair] = []
    while len(merges) < n_merges:
        counts = Counter(pair for word in words for pair in zip(word, word[1:], strict=False))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [replace(word, best, 256 + len(merges)) for word in words]
        merges.append(best)
    return merges


def replace(word: list[int], pair: Pair, new: int) -> list[int]:
    """Put `new` wherever `pair` stands in `word`, from left to right.

    >>> replace([97, 97, 97, 98], (97, 97), 256)
    [256, 97, 98]
    """
    out: list[int] = []
    for token in word:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out


def encode(word: list[int], merges: list[Pair]) -> list[int]:
    """The ids of one pre-token: every merge in turn, wherever it fits.

    >>> encode([97, 97, 98, 97, 97], [(97, 97), (256, 98)])
    [257, 256]
    """
    for rank, pair in enumerate(merges):
        word = replace(word, pair, 256 + rank)
    return word


def decode(ids: list[int], merges: list[Pair]) -> list[int]:
    """The byte ids that a list of token ids stands for.

    >>> decode([257, 256], [(97, 97), (256, 98)])
    [97, 97, 98, 97, 97]
    """
    parts = [[byte] for byte in range(256)]
    for left, right in merges:
        parts.append(parts[left] + parts[right])
    return [byte for token in ids for byte in parts[token]]
