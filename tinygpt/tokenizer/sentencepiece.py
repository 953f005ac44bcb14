"""SentencePiece's tokenizers: a list of pieces with scores, cut out of normalized text.

There are two kinds, which differ in how a text becomes pieces: "bpe" merges (piece_merges.py),
"unigram" takes the most likely pieces (lattice.py). Everything else is shared: normalizer.py first,
then a character that is no piece becomes the 256 byte tokens' worth of its UTF-8, or <unk>.

A piece has a type: normal; unknown, the one <unk>; control, which stands for no text (<s>, </s>)
and is a special token here; user-defined, which is taken before anything else, whole; byte, spelled
<0x00> to <0xFF>; unused, which is never given out.

What normalizing took away does not come back: `decode` gives the normalized text with its spaces.
The space that encoding put before the text is taken away by `decode` and left by `decode_bytes`,
which is also asked for a text's ids one by one.

Source: Kudo and Richardson 2018.  Read first: normalizer.py.  Its files: sentencepiece_files.py.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import numpy as np

from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.lattice import make_lattice
from tinygpt.tokenizer.normalizer import SPACE, Normalizer
from tinygpt.tokenizer.piece_merges import PieceMerger, cuts
from tinygpt.tokenizer.pretokenize import to_str
from tinygpt.tokenizer.vocabulary import MOST_IDS

FORMAT, VERSION = "tinygpt-sentencepiece", 1
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
Kind = Literal["bpe", "unigram"]
Merge = tuple[int, int, int]  # ids: left, right, merged

BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
UNKNOWN_TEXT = " \u2047 "  # what <unk> is decoded as
LONGEST = 2048  # characters of a piece: to list the ways to cut it takes their square
_STRETCH = 2**16  # characters
UNKNOWN_PENALTY = 10.0  # nats below the worst piece


class SentencePieceTokenizer(Tokenizer):
    """Pieces, their scores and their types, by id.

    pieces: no two alike, none empty.  scores: logarithms of probabilities for "unigram", for "bpe"
        any numbers that order the merges.  types: NORMAL to BYTE.
    byte_fallback: whether unknown characters become byte pieces, all 256 of which must be there.
    fuse_unknown: whether neighbouring unknown characters are one <unk>.
    split: whether no piece goes on behind a space, even where one could.
    merges: of a "bpe" whose file states pairs in place of scores (Hugging Face's).
    Raises TokenizerError for what is not such a vocabulary.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Sequence[float],
        types: Sequence[int],
        kind: Kind,
        normalizer: Normalizer | None = None,
        byte_fallback: bool = False,
        fuse_unknown: bool = True,
        split: bool = False,
        merges: Sequence[Merge] | None = None,
    ):
        check(pieces, scores, types, kind, merges)
        self.pieces, self.types = list(pieces), [int(t) for t in types]
        self.scores = np.array(scores, np.float32).tolist()  # as their files and sums have them
        self.kind, self.normalizer = kind, normalizer or Normalizer()
        self.byte_fallback, self.fuse_unknown, self.split = byte_fallback, fuse_unknown, split
        self.merges = None if merges is None else [(int(a), int(b), int(c)) for a, b, c in merges]
        self.prefix = self.normalizer.prefix.replace(SPACE, " ").encode()
        self.special_tokens = dict(self._of(CONTROL))
        self._unknown_id = next(iter(self._of(UNKNOWN).values()), None)
        self._bytes = self._byte_ids() if byte_fallback else []
        user = self._of(USER_DEFINED)
        longest = "|".join(map(re.escape, sorted(user, key=len, reverse=True)))
        firsts = re.escape("".join(sorted({name[0] for name in user})))
        self._kept = re.compile(f"(?=[{firsts}])({longest})") if user else None
        _ = self.normalizer.rules  # a damaged charsmap is refused here, not at the first text
        self._spelled = {token: self._spell(token) for token in range(len(self.pieces))}
        make = self._make_merger if kind == "bpe" else self._make_segmenter
        self._engine: PieceMerger | Segmenter = make(user)

    def __reduce__(self) -> tuple[Any, ...]:
        made_from = (
            self.pieces, self.scores, self.types, self.kind, self.normalizer, self.byte_fallback,
            self.fuse_unknown, self.split, self.merges,
        )
        return SentencePieceTokenizer, made_from

    @property
    def vocab_size(self) -> int:
        return len(self.pieces)

    @property
    def token_bytes(self) -> dict[int, bytes]:
        """The bytes of every id that is not special."""
        special = set(self.special_tokens.values())
        return {token: data for token, data in self._spelled.items() if token not in special}

    def most_likely(self, n: int) -> list[int]:
        """The n normal pieces of the highest scores, by id."""
        normal = sorted(self._of(NORMAL).values(), key=lambda token: (-self.scores[token], token))
        return normal[:n]

    def _of(self, kind: int) -> dict[str, int]:
        return {
            piece: i
            for i, (piece, t) in enumerate(zip(self.pieces, self.types, strict=True))
            if t == kind
        }

    def _byte_ids(self) -> list[int]:
        named = self._of(BYTE)
        missing = [piece for piece in BYTE_PIECES if piece not in named]
        if missing:
            raise TokenizerError(
                f"it falls back on bytes, and {len(missing)} of the 256 are no pieces "
                f"({missing[0]} first). Restore the file."
            )
        return [named[piece] for piece in BYTE_PIECES]

    def _spell(self, token: int) -> bytes:
        piece, kind = self.pieces[token], self.types[token]
        if kind == BYTE:
            return bytes([int(piece[3:5], 16)])
        if kind == UNKNOWN:
            return UNKNOWN_TEXT.encode()
        return piece.replace(SPACE, " ").encode()

    def _make_merger(self, user: Mapping[str, int]) -> PieceMerger:
        unused = self._of(UNUSED)
        return PieceMerger(
            self._of(NORMAL) | unused, self.scores, self._unknown_ids,
            (self._kept, user) if self._kept else None, self.split, self.merges,
            {token: piece for piece, token in unused.items()},
        )

    def _make_segmenter(self, user: Mapping[str, int]) -> Segmenter:
        normal = self._of(NORMAL)
        scores = [self.scores[i] for i in normal.values()]
        best, worst = max([0.1, *scores]), min(scores, default=0.0)
        # A user-defined piece beats whatever it could be written as. The numbers are SentencePiece
        # 0.2.3's, since they decide how sums are rounded.
        always = [float(np.float32(len(name.encode()) * best - 0.1)) for name in user]
        return Segmenter(
            normal | dict(user), scores + always, worst - UNKNOWN_PENALTY, self._unknown_ids,
            self.split,
        )

    def _unknown_ids(self, character: str) -> list[int]:
        """The ids of a character that is no piece.  Raises TokenizerError when there are none."""
        if self._bytes:
            return [self._bytes[byte] for byte in character.encode()]
        if self._unknown_id is None:
            raise TokenizerError(
                f"the character {character!r} is no piece of this tokenizer, which has no token "
                "for what is unknown. Leave it out."
            )
        return [self._unknown_id]

    def _encode_ordinary(self, text: Text) -> np.ndarray:
        found = self._engine.encode(self.normalizer(to_str(text), self._kept))
        ids = np.array(found, self.dtype)
        if self.fuse_unknown and not self._bytes and self._unknown_id is not None:
            unknown = ids == self._unknown_id
            ids = ids[~(unknown & np.append(False, unknown[:-1]))]
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return self._join(ids, self._spelled)

    def to_json(self) -> str:
        """One JSON object, one piece a line."""
        settings = asdict(self.normalizer)
        settings["charsmap"] = base64.b64encode(self.normalizer.charsmap).decode()
        data: dict[str, Any] = {
            "format": FORMAT, "version": VERSION, "kind": self.kind, "normalizer": settings,
            "byte_fallback": self.byte_fallback, "fuse_unknown": self.fuse_unknown,
            "split": self.split,
        }
        if self.merges is not None:
            data["merges"] = self.merges
        rows = zip(self.pieces, self.scores, self.types, strict=True)
        lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        head = json.dumps(data)[:-1]
        return f'{head},\n "pieces": [\n{lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SentencePieceTokenizer:
        """Rebuild from a parsed file.  Raises TokenizerError if it is damaged."""
        rows, settings = data.get("pieces"), data.get("normalizer")
        if not isinstance(rows, list) or not all(isinstance(r, list) and len(r) == 3 for r in rows):
            raise TokenizerError("'pieces' must list [text, score, type]. Restore the file.")
        flags = {f.name for f in fields(Normalizer)} - {"charsmap"}
        if (
            not isinstance(settings, dict) or set(settings) != flags | {"charsmap"}
            or not all(isinstance(settings[name], bool) for name in flags)
        ):
            raise TokenizerError("its 'normalizer' is damaged. Restore the file.")
        switches = [data.get(name) for name in ("byte_fallback", "fuse_unknown", "split")]
        if not all(isinstance(switch, bool) for switch in switches):
            raise TokenizerError("'byte_fallback', 'fuse_unknown' and 'split' must be true or "
                                 "false. Restore the file.")
        normalizer = Normalizer(**{**settings, "charsmap": from_base64(settings["charsmap"])})
        pieces, scores, types = zip(*rows, strict=True) if rows else ((), (), ())
        fallback, fuse, split = switches
        kind, merges = data.get("kind"), data.get("merges")
        return cls(pieces, scores, types, kind, normalizer, fallback, fuse, split, merges)  # type: ignore[arg-type]


class Segmenter:
    """Normalized text to ids: the most likely pieces.

    pieces, scores: text -> id, and the score of each.  unknown_score: of a character that is none.
    unknown_ids: character -> its ids.  split: cut before every space.

    A text of more than 65,536 characters is taken in stretches, cut where no piece goes on: in sums
    over millions of characters float32 has no places left to tell one way from another.
    """

    def __init__(
        self, pieces: Mapping[str, int], scores: Sequence[float], unknown_score: float,
        unknown_ids: Callable[[str], list[int]], split: bool,
    ):
        self._unknown_ids, self._split, self._cuts = unknown_ids, split, cuts(pieces, split)
        self._unknown_score = float(np.float32(unknown_score))
        spelled = [piece.encode() for piece in pieces]
        self._lattice = make_lattice(spelled, scores, list(pieces.values()))

    def encode(self, text: str) -> list[int]:
        """The ids of a normalized text."""
        parts = self._cuts.split(text) if self._split else self._stretches(text)
        lengths = [len(part.encode()) for part in parts]
        data = text.encode()
        found, ends, _ = self._lattice.best(data, np.cumsum(lengths), self._unknown_score)
        if not np.any(found < 0):
            return found.tolist()
        ids, start = list[int](), 0
        for token, end in zip(found.tolist(), ends.tolist(), strict=True):
            ids += [token] if token >= 0 else self._unknown_ids(data[start:end].decode())
            start = end
        return ids

    def _stretches(self, text: str) -> list[str]:
        parts, start = [], 0
        while len(text) - start > _STRETCH:
            cut = self._cuts.search(text, start + _STRETCH)
            if cut is None:
                break
            parts.append(text[start : cut.start()])
            start = cut.start()
        return [*parts, text[start:]]


def check(
    pieces: Sequence[str], scores: Sequence[float], types: Sequence[int], kind: str,
    merges: Any,
) -> None:
    """Raises TokenizerError, naming the first culprit, unless these are a vocabulary."""
    if kind not in ("bpe", "unigram"):
        raise TokenizerError(f"its kind is {kind!r}, and 'bpe' and 'unigram' are known here.")
    if not len(pieces) == len(scores) == len(types):
        raise TokenizerError(
            f"it has {len(pieces)} pieces, {len(scores)} scores and {len(types)} types, which must "
            "be as many. Restore the file."
        )
    if not 0 < len(pieces) <= MOST_IDS:
        raise TokenizerError(f"it has {len(pieces)} pieces, which is not in 1..{MOST_IDS}.")
    first: dict[str, int] = {}
    for token, (piece, score, type_) in enumerate(zip(pieces, scores, types, strict=True)):
        what = f"its piece {token} ({piece!r:.60})"
        if not isinstance(piece, str) or not 0 < len(piece) <= LONGEST:
            raise TokenizerError(f"{what} is no text of 1 to {LONGEST} characters.")
        if "\ud800" <= max(piece) and any("\ud800" <= c <= "\udfff" for c in piece):
            raise TokenizerError(f"{what} holds half a character, which no text does.")
        if isinstance(score, bool) or not isinstance(score, int | float) or not _fits(score):
            raise TokenizerError(f"{what} has the score {score!r:.40}, which is no number.")
        if type_ not in range(1, 7) or isinstance(type_, bool | float):
            raise TokenizerError(f"{what} has the type {type_!r:.40}, which is not in 1..6.")
        if type_ == BYTE and piece not in _BYTE_SET:
            raise TokenizerError(f"{what} is of type byte, and not spelled <0x00> to <0xFF>.")
        if first.setdefault(piece, token) != token:
            raise TokenizerError(
                f"{what} is piece {first[piece]} again, so that one of them can never come up."
            )
    if list(types).count(UNKNOWN) > 1:
        raise TokenizerError("it has more than one piece for what is unknown. Restore the file.")
    if merges is not None:
        _check_merges(merges, pieces)


def _check_merges(merges: Any, pieces: Sequence[str]) -> None:
    for merge in merges if isinstance(merges, list) else [merges]:
        if not isinstance(merge, list | tuple) or len(merge) != 3 or not all(
            type(token) is int and 0 <= token < len(pieces) for token in merge
        ):
            raise TokenizerError(f"its merge {merge!r:.60} is not three ids. Restore the file.")
        left, right, merged = (pieces[token] for token in merge)
        if left + right != merged:
            raise TokenizerError(
                f"its merge of {left!r:.60} and {right!r:.60} makes {merged!r:.60}, which is not "
                "the two together. Restore the file."
            )


def _fits(score: float) -> bool:
    return math.isfinite(score) and abs(score) < 1e30 if not isinstance(score, int) else (
        abs(score) < 10**30
    )


_BYTE_SET = frozenset(BYTE_PIECES)


def from_base64(text: Any) -> bytes:
    """Raises TokenizerError for what is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise TokenizerError("its normalization rules are not base64. Restore the file.") from None
