"""Which text is for learning and which is held out.

Training and held-out text must not share a document, or a model is praised for remembering. So
whole documents are dealt out in a seeded random order, each split getting its share of the
characters. A single text has no documents to deal: it is cut where it stands, its end held out.

Read next: shards.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygpt.text.corpus import Corpus, DataError, Document

SPLITS = ("train", "validation", "test")


def plan_splits(
    corpus: Corpus, fractions: Sequence[float], *, seed: int = 0, by_position: bool = False
) -> list[list[tuple[str, int, int]]]:
    """For each document the parts of it that go to each split: (split, first, last) characters.

    fractions: (train, validation, test), summing to 1; 0 leaves a split empty. A curated corpus has
        its splits, and these are kept; each part of a mixture is split for itself.
    Raises DataError for a corpus without text, or with too few documents for the splits.
    """
    found: dict[int, tuple[list[int], list[str | None]]] = {0: ([], [])}
    for document in corpus:
        sizes, given = found.setdefault(document.part, ([], []))
        sizes.append(sum(map(len, document.pieces())))
        given.append(document.split)
    names = corpus.parts or (corpus.name,)
    return [
        pieces for part, (sizes, given) in found.items()
        for pieces in _plan(names[part], sizes, given, fractions, seed, by_position)
    ]


def _plan(
    corpus: str, sizes: list[int], given: list[str | None], fractions: Sequence[float], seed: int,
    by_position: bool,
) -> list[list[tuple[str, int, int]]]:
    if sum(sizes) == 0:
        raise DataError(f"{corpus} has no text. Give a corpus with at least one character.")
    if None not in given and not by_position:  # documents of a curated corpus know theirs
        return [[(str(name), 0, size)] for name, size in zip(given, sizes, strict=True)]
    if by_position or len(sizes) == 1:
        return _by_position(sizes, fractions)
    wanted = sum(fraction > 0 for fraction in fractions)
    if len(sizes) < wanted:
        raise DataError(
            f"{corpus} has {len(sizes)} documents for {wanted} splits. "
            "Split by position (data.by_position = true), or add documents."
        )
    return _by_document(sizes, fractions, seed)


def _by_position(sizes: list[int], fractions: Sequence[float]) -> list[list[tuple[str, int, int]]]:
    """Cut the concatenation of all documents at the cumulative fractions of its characters."""
    total = sum(sizes)
    edges = [0, *(int(total * share) for share in np.cumsum(fractions)[:-1].round(12)), total]
    plan, start = [], 0
    for size in sizes:
        parts = []
        for name, low, high in zip(SPLITS, edges[:-1], edges[1:], strict=True):
            first, last = max(low, start), min(high, start + size)
            if first < last:
                parts.append((name, first - start, last - start))
        plan.append(parts)
        start += size
    return plan


def _by_document(
    sizes: list[int], fractions: Sequence[float], seed: int
) -> list[list[tuple[str, int, int]]]:
    """Deal whole documents, shuffled: each goes to the split that is furthest below its share."""
    plan: list[list[tuple[str, int, int]]] = [[] for _ in sizes]
    filled = [0] * len(SPLITS)
    total = sum(sizes)
    for index in np.random.default_rng(seed).permutation(len(sizes)):
        owed = [
            (share * total - have) / (share * total) if share else -np.inf
            for share, have in zip(fractions, filled, strict=True)
        ]
        chosen = int(np.argmax(owed))
        filled[chosen] += sizes[index]
        plan[index] = [(SPLITS[chosen], 0, sizes[index])]
    return plan


def split_pieces(
    document: Document, parts: list[tuple[str, int, int]]
) -> Iterator[tuple[str, str, bool]]:
    """The document's text as (split, piece, is_last_of_part), read once from the start."""
    start = 0
    for piece in document.pieces():
        end = start + len(piece)
        for name, first, last in parts:
            low, high = max(first, start), min(last, end)
            if low < high:
                yield name, piece[low - start : high - start], high == last
        start = end
