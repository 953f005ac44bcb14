"""What a tokenizer learned, as plain data: ../screens/tokenizer.py makes lines of it.

Choosing a vocabulary size is a trade: more tokens make text shorter, and cost a row of the
embedding each, which a small model pays for with its parameters. `measure` gives the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.bpe import BPETokenizer
from tinygpt.tokenizer.pretokenize import to_bytes
from tinygpt.tokenizer.sentencepiece import SentencePieceTokenizer
from tinygpt.tokenizer.unigram import UnigramTokenizer


@dataclass(frozen=True)
class Compression:
    """How a tokenizer does on one text."""

    vocab_size: int
    bytes: int
    words: int  # runs of bytes between white space
    tokens: int
    used: int  # different ids that occur

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / max(1, self.tokens)

    @property
    def tokens_per_word(self) -> float:
        return self.tokens / max(1, self.words)

    @property
    def unused(self) -> int:
        """Ids that never occur in this text."""
        return self.vocab_size - self.used


def measure(tokenizer: Tokenizer, texts: Iterable[Text]) -> Compression:
    """Encode `texts` and count; special tokens in them are ordinary characters."""
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    n_bytes = n_words = 0
    for text in texts:
        data = to_bytes(text)
        ids = tokenizer.encode_array(text, disallowed_special=())
        counts += np.bincount(ids, minlength=len(counts))
        n_bytes += len(data)
        n_words += len(data.split())
    return Compression(
        tokenizer.vocab_size, n_bytes, n_words, int(counts.sum()), int(np.count_nonzero(counts))
    )


def longest_tokens(
    tokenizer: BPETokenizer | UnigramTokenizer | SentencePieceTokenizer, n: int
) -> list[tuple[int, bytes]]:
    """The n longest tokens as (id, bytes), longest first, then by id."""
    spelled = sorted(tokenizer.token_bytes.items(), key=lambda item: (-len(item[1]), item[0]))
    return spelled[:n]


def cut(tokenizer: Tokenizer, text: Text) -> list[tuple[int, bytes]]:
    """The tokens of a text, special tokens recognised, as (id, bytes)."""
    ids = tokenizer.encode(text, allowed_special="all")
    return [(token, tokenizer.decode_bytes([token])) for token in ids]


@dataclass(frozen=True)
class Derivation:
    """How a token came to be: merged from two others, or a byte (no parts)."""

    token: int
    bytes: bytes
    parts: tuple[Derivation, ...] = ()


def derive(tokenizer: BPETokenizer, token: int) -> Derivation:
    """The tree of merges that makes `token`."""
    return derivations(tokenizer, [token])[token]


def derivations(tokenizer: BPETokenizer, tokens: Iterable[int]) -> dict[int, Derivation]:
    """Token -> the tree of merges that makes it."""
    made_from = dict(zip(tokenizer.merged_ids, tokenizer.merges, strict=True))

    def grow(token: int) -> Derivation:
        parts = tuple(grow(part) for part in made_from.get(token, ()))
        return Derivation(token, tokenizer.decode_bytes([token]), parts)

    return {token: grow(token) for token in tokens}


def show(data: bytes) -> str:
    r"""Bytes as something printable: spaces as they are, the rest of what is invisible escaped.

    >>> show(b" caf\xc3\xa9\n\xff")
    ' café\\n\\xff'
    """
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("utf-8", "surrogateescape").decode("latin-1")
        .encode("unicode_escape").decode()
        for c in text
    )
