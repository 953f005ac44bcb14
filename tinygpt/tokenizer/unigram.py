"""The Unigram tokenizer of our own: the most likely pieces of each word, and any bytes in and out.

As in bpe.py a text is cut into words by a pattern, no piece crosses two of them, and the first 256
ids are the bytes in GPT-2's order. They have scores like every piece, so that any bytes can be
written and come back; those that were never seen alone score far below the rest, and what is rare
is written with them. Behind them come the pieces, the most likely first, then the special tokens.

Source: Kudo 2018.  Read first: naive_unigram.py.  Read next: unigram_trainer.py.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.bpe import BYTES
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.lattice import make_lattice
from tinygpt.tokenizer.pretokenize import pattern_name, pattern_text, piece_ends, to_bytes
from tinygpt.tokenizer.vocabulary import MOST_IDS, check_specials, refuse_equal_spellings

FORMAT, VERSION = "tinygpt-unigram", 1


class UnigramTokenizer(Tokenizer):
    """Pieces and the logarithm of each one's probability.

    pieces: what has the ids 256, 257 and so on, two bytes or more each.
    scores: of the 256 bytes in GPT-2's order, then of the pieces, in nats.
    pattern: "gpt2", "cl100k", "llama3", "o200k" or a regular expression.
    special_tokens: name -> id.
    Raises TokenizerError for what is no such vocabulary.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scores: Sequence[float] | np.ndarray,
        pattern: str = "cl100k",
        special_tokens: Mapping[str, int] | None = None,
    ):
        self.pattern = pattern_name(pattern_text(pattern))
        self.special_tokens = dict(special_tokens or {})
        self.pieces = list(pieces)
        self.scores = np.array(scores, np.float32)
        if self.scores.shape != (256 + len(self.pieces),) or not np.isfinite(self.scores).all():
            raise TokenizerError(
                f"a Unigram tokenizer of {len(self.pieces)} pieces needs {256 + len(self.pieces)} "
                "scores, which are numbers. Restore its file."
            )
        if min(map(len, self.pieces), default=2) < 2 or len(self.scores) > MOST_IDS:
            raise TokenizerError(
                "the pieces of a Unigram tokenizer have two bytes or more, and there are at most "
                f"{MOST_IDS} of them. Restore its file."
            )
        spelled = [bytes([byte]) for byte in BYTES] + self.pieces
        self.token_bytes = dict(enumerate(spelled))
        refuse_equal_spellings(self.token_bytes)
        check_specials(self.special_tokens, self.token_bytes)
        specials = {token: name.encode() for name, token in self.special_tokens.items()}
        self._spelled = self.token_bytes | specials
        self._lattice = make_lattice(spelled, self.scores)
        self._scanner = compiled.Scanner.of(self.pattern) if compiled.available() else None

    def __reduce__(self) -> tuple[Any, ...]:
        return UnigramTokenizer, (self.pieces, self.scores, self.pattern, self.special_tokens)

    @property
    def vocab_size(self) -> int:
        return 1 + max(self._spelled)

    def _encode_ordinary(self, text: Text) -> np.ndarray:
        data = to_bytes(text)
        if self._scanner:
            ends = self._scanner.ends(data)
        else:
            ends = np.array(piece_ends(data, self.pattern), np.int64)
        return self._lattice.best(data, ends)[0].astype(self.dtype)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return self._join(ids, self._spelled)

    def to_json(self) -> str:
        """One JSON object, one piece a line: its bytes in base64, and its score."""
        data = {
            "format": FORMAT, "version": VERSION, "pattern": self.pattern,
            "special_tokens": self.special_tokens,
            "byte_scores": [round(score, 6) for score in self.scores[:256].tolist()],
        }
        rows = zip(self.pieces, self.scores[256:].tolist(), strict=True)
        lines = ",\n".join(
            f'  ["{base64.b64encode(piece).decode()}", {score:.6f}]' for piece, score in rows
        )
        return f'{json.dumps(data)[:-1]},\n "pieces": [\n{lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnigramTokenizer:
        """Rebuild from a parsed file.  Raises TokenizerError if it is damaged."""
        pattern, specials, rows, scores = (
            data.get(key) for key in ("pattern", "special_tokens", "pieces", "byte_scores")
        )
        if not isinstance(pattern, str):
            raise TokenizerError("'pattern' is missing or not text. Restore the file.")
        if not isinstance(specials, dict) or not all(type(i) is int for i in specials.values()):
            raise TokenizerError("'special_tokens' must map names to ids. Restore the file.")
        if not isinstance(scores, list) or not isinstance(rows, list) or not all(
            isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) for row in rows
        ):
            raise TokenizerError("'pieces' must list [base64, score]. Restore the file.")
        scores = scores + [row[1] for row in rows]
        if not all(type(s) in (int, float) and math.isfinite(s) and abs(s) < 1e6 for s in scores):
            raise TokenizerError("a score in it is no number. Restore the file.")
        try:
            pieces = [base64.b64decode(row[0], validate=True) for row in rows]
        except ValueError:
            raise TokenizerError("a piece in it is not base64. Restore the file.") from None
        return cls(pieces, scores, pattern, specials)
