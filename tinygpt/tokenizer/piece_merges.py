"""BPE by scores: merge the two neighbours whose union is the best piece, again and again.

SentencePiece keeps no merges. Any two neighbours whose text together is a piece may merge; the
piece with the highest score goes first, of equals the leftmost. That is the same as a list of pairs
in which every way to cut a piece into two has the rank of that piece, and so bpe.py's `merge` does
the work, with its heap over a linked list for what is long.

A merge makes a piece, so none ever joins what stands together in no piece. At a space that follows
a letter there is nearly always such a place: there a text is cut, and each distinct part is merged
once and remembered.

Source: Kudo and Richardson 2018, 3.1.  Read first: bpe.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from tinygpt.tokenizer.bpe import Ranks, merge
from tinygpt.tokenizer.normalizer import SPACE

_CACHE_WORDS = 2**16  # distinct parts remembered


class PieceMerger:
    """Normalized text to ids.

    pieces: text -> id of what a merge may make.  scores: by id; of equals the leftmost goes first.
    unknown: character -> ids of one that is no piece.
    kept: matches pieces that are never merged, in one group.  split: cut before every space.
    merges: (left, right, merged) ids in order, where a file states them; then scores say nothing.
    hidden: ids that may be merged on the way and are taken apart again in the end.
    """

    def __init__(
        self,
        pieces: Mapping[str, int],
        scores: Sequence[float],
        unknown: Callable[[str], list[int]],
        kept: tuple[re.Pattern[str], Mapping[str, int]] | None = None,
        split: bool = False,
        merges: Sequence[tuple[int, int, int]] | None = None,
        hidden: Mapping[int, str] | None = None,
    ):
        self._pieces, self._unknown, self._kept = pieces, unknown, kept
        self._first_free = len(scores)  # ids from here on stand for characters that are no pieces
        if merges is None:
            self._ranks = ranks_of(pieces, scores, self._symbol)
        else:
            self._ranks = {(l, r): (rank, new) for rank, (l, r, new) in enumerate(merges)}
        self._parts = cuts(pieces, split)
        self._hidden = hidden or {}
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of a normalized text."""
        if not self._kept:
            return self._encode_plain(text)
        pattern, kept = self._kept
        ids: list[int] = []
        for position, part in enumerate(pattern.split(text)):
            ids += [kept[part]] if position % 2 else self._encode_plain(part)
        return ids

    def _encode_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in self._parts.split(text):
            known = self._cache.get(part)
            ids += self._merge(part) if known is None else known
        return ids

    def _merge(self, part: str) -> list[int]:
        ids: list[int] = []
        for symbol in merge(list(map(self._symbol, part)), self._ranks):
            ids += self._shown(symbol)
        if len(self._cache) >= _CACHE_WORDS:
            self._cache.clear()
        self._cache[part] = ids
        return ids

    def _shown(self, symbol: int) -> list[int]:
        """The ids of a symbol.  A hidden one is taken apart: into what meets last to make it."""
        if symbol >= self._first_free:
            return self._unknown(chr(symbol - self._first_free))
        text = self._hidden.get(symbol, "")
        if len(text) < 2:
            return [symbol]
        ranks = {pair: made for pair, made in self._ranks.items() if made[1] != symbol}
        parts = merge(list(map(self._symbol, text)), ranks)
        return [token for part in parts for token in self._shown(part)]

    def _symbol(self, text: str) -> int:
        """The id of a piece, or a number of its own for a character that is none; -1 for others."""
        known = self._pieces.get(text)
        if known is not None:
            return known
        return self._first_free + ord(text) if len(text) == 1 else -1


def ranks_of(
    pieces: Mapping[str, int], scores: Sequence[float], symbol: Callable[[str], int]
) -> Ranks:
    """Every pair of symbols that makes a piece -> (rank of its score, its id)."""
    made: dict[tuple[int, int], int] = {}
    for text, token in pieces.items():
        for cut in range(1, len(text)):
            left = symbol(text[:cut])
            right = symbol(text[cut:]) if left >= 0 else -1
            if right >= 0:
                made[left, right] = token
    best_first = sorted({scores[token] for token in made.values()}, reverse=True)
    rank = {score: place for place, score in enumerate(best_first)}
    return {pair: (rank[scores[token]], token) for pair, token in made.items()}


def cuts(pieces: Mapping[str, int], split: bool = False) -> re.Pattern[str]:
    """Matches, with no width, where a text falls into parts that no piece crosses.

    Before a space, unless some piece holds it behind the same character; everywhere if `split`.
    """
    before = set()
    if not split:
        for text in pieces:
            at = text.find(SPACE, 1)
            while at >= 0:
                before.add(text[at - 1])
                at = text.find(SPACE, at + 1)
    behind = f"(?<![{re.escape(''.join(sorted(before)))}])" if before else ""
    return re.compile(f"(?!^){behind}(?={SPACE})")
