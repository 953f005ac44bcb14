"""Stage 1 of training: how often each distinct pre-token occurs, in text of any length.

A gigabyte of text repeats its words: some hundred thousand distinct pre-tokens carry all that
training needs. They are counted as the text streams by, in C where it was built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, BinaryIO

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.base import Text
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.pretokenize import pattern_name, pattern_text, split, to_bytes

_CHUNK = 4 << 20  # bytes read at once


class WordCounts:
    """Distinct pre-tokens and how often each occurs.

    pattern: "gpt2", "cl100k", "llama3" or a regular expression.
    """

    def __init__(self, pattern: str = "cl100k"):
        self.pattern = pattern_name(pattern_text(pattern))
        self._counter = compiled.Counter(self.pattern) if compiled.available() else None
        self._counts: dict[bytes, int] = defaultdict(int)

    def __enter__(self) -> WordCounts:
        return self

    def __exit__(self, *error: object) -> None:
        self._counts.clear()

    def __len__(self) -> int:
        return len(self._counts) if self._counter is None else len(self._counter)

    def add(self, text: Text) -> None:
        """Count the pre-tokens of one document."""
        if self._counter is not None:
            self._counter.add(to_bytes(text))
            return
        for piece in split(text, self.pattern):
            self._counts[piece] += 1

    def add_stream(self, stream: BinaryIO) -> None:
        """Count the pre-tokens of one document read piece by piece.

        The cuts are those of the whole document. A pattern of the user's own may look any distance
        ahead, so under one (and without C) the document is read whole.
        """
        if self._counter is None or self.pattern not in compiled.PATTERN_NUMBERS:
            self.add(stream.read())
            return
        rest = b""
        while chunk := stream.read(max(_CHUNK, len(rest))):
            rest += chunk
            rest = rest[self._counter.add(rest, is_last=False) :]
        self._counter.add(rest)

    def items(self) -> Iterable[tuple[bytes, int]]:
        """Each distinct pre-token with its count."""
        return self._counts.items() if self._counter is None else self._counter.items()

    def trainer(self) -> Any:
        """The compiled trainer over these words.  Raises RuntimeError without C."""
        if self._counter is None:
            raise RuntimeError("these words were counted without C")
        return compiled.MergeTrainer(self._counter, BYTE_IDS)
