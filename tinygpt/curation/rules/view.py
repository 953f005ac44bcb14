"""A text as the rules see it: words, lines and paragraphs, each made once, when first asked for.

A word is what stands between white space, punctuation at its ends left out; what is nothing but
punctuation is no word. (The papers do not define one. Dolma splits at white space too; datatrove
asks a tokenizer of the language.) In scripts without spaces a character is a word for counting, and
the rules about the lengths of words do not apply.

Read next: gopher.py.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from functools import cached_property

import numpy as np

ENDS = string.punctuation + "«»„“”‚‘’‹›…–—·•¡¿、。，；：？！「」『』（）《》।॥؟،؛"
# Scripts whose words no space divides: Thai to Myanmar, Khmer, Kana, Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\U00020000-\U0002ffff]"
)
UNSPACED_SHARE = 0.3
SENTENCE_END = re.compile(r"[.!?。！？।؟]+[\"'»”’)\]]*(?=\s|$)|[。！？।]")


class View:
    """text: a document's.  stop_words: the commonest words of its language."""

    def __init__(self, text: str, stop_words: Collection[str] = ()):
        self.text = text
        self.common = stop_words

    @cached_property
    def unspaced(self) -> bool:
        """Is it written without spaces?"""
        text = self.text
        return not text.isascii() and len(UNSPACED.findall(text)) > UNSPACED_SHARE * len(text)

    @cached_property
    def tokens(self) -> list[str]:
        """What stands between white space, or each character that is not white space."""
        if self.unspaced:
            return [c for c in self.text if not c.isspace()]
        return self.text.split()

    @cached_property
    def words(self) -> list[str]:
        stripped = [token.strip(ENDS) for token in self.tokens]
        return [word for word in stripped if word]

    @cached_property
    def lines(self) -> list[str]:
        """Those that are not empty."""
        return [line for line in (line.strip() for line in self.text.split("\n")) if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """Those that are not empty, between blank lines."""
        return [part for part in (p.strip() for p in self.text.split("\n\n")) if part]

    @cached_property
    def sentences(self) -> int:
        return len(SENTENCE_END.findall(self.text))

    @cached_property
    def word_lengths(self) -> np.ndarray:
        """(words,) int64, characters."""
        return np.fromiter(map(len, self.words), np.int64, len(self.words))

    @cached_property
    def word_ids(self) -> np.ndarray:
        """(words,) int64: equal where the words are, numbered as they first occur."""
        number = {word: i for i, word in enumerate(dict.fromkeys(self.words))}
        return np.fromiter(map(number.__getitem__, self.words), np.int64, len(self.words))
