"""What every tokenizer of the project can do, and what it says when it cannot.

A tokenizer turns text into ids below `vocab_size` and back. `encode` and `encode_array` take str
or bytes; `decode_bytes` gives bytes back and `decode` a str, with U+FFFD where the bytes are not
UTF-8. Special tokens (control tokens such as <|endoftext|>) are never produced from user text
unless the caller allows them by name, as in tiktoken.

Read next: naive.py, then char.py and bpe.py.
"""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinygpt.tokenizer.files import TokenizerError, write_text

Text = str | bytes
Specials = Collection[str] | Literal["all"]

END_OF_TEXT = "<|endoftext|>"
# Reserved in every BPE vocabulary, so that a model trained today can be taught to chat later
# without a new row in its embedding.
CHAT_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>")
MASK = "<|mask|>"  # stands where a token is hidden from an encoder
DEFAULT_SPECIAL_TOKENS = (END_OF_TEXT, *CHAT_TOKENS)


class Tokenizer(ABC):
    """Text to ids and back.

    vocab_size: ids are below it.  special_tokens: name -> id.
    """

    special_tokens: dict[str, int]
    prefix = b""  # what encoding puts before a text, for `decode` to take away

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of ids, special tokens and unused ids included."""

    @abstractmethod
    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that ids stand for.  Raises TokenizerError for an id out of range."""

    @abstractmethod
    def to_json(self) -> str:
        """The tokenizer as text; `tinygpt.tokenizer.from_json` reads it."""

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON; `tinygpt.tokenizer.load` reads it."""
        write_text(path, self.to_json())

    @abstractmethod
    def _encode_ordinary(self, text: Text) -> np.ndarray:
        """Ids (n,) of text in which nothing is special, in `dtype`."""

    @property
    def dtype(self) -> np.dtype:
        """uint16 when it can hold every id, else uint32."""
        return np.dtype(np.uint16 if self.vocab_size <= 2**16 else np.uint32)

    def encode(
        self, text: Text, allowed_special: Specials = (), disallowed_special: Specials = "all"
    ) -> list[int]:
        """The ids of `text` as a list; arguments and errors as `encode_array`."""
        return self.encode_array(text, allowed_special, disallowed_special).tolist()

    def encode_array(
        self, text: Text, allowed_special: Specials = (), disallowed_special: Specials = "all"
    ) -> np.ndarray:
        """The ids of `text`, (n,) in `dtype`.

        text: str, or bytes in UTF-8 (bytes that are not UTF-8 are kept as they are by BPE).
        allowed_special: names of special tokens to recognise in the text, or "all".
        disallowed_special: names that must not stand in the text; "all" means those not allowed.
            With () they are encoded as the ordinary characters they are made of.
        Raises TokenizerError for a disallowed special token or a character without an id.
        """
        if not isinstance(text, (str, bytes)):
            text = _as_bytes(text)
        allowed = set(self.special_tokens) if allowed_special == "all" else set(allowed_special)
        self._refuse_unknown(allowed)
        if disallowed_special == "all":
            refused = set(self.special_tokens) - allowed
        else:
            refused = set(disallowed_special)
        self._refuse(text, refused - allowed, allowed)
        if not allowed:
            return self._encode_ordinary(text)
        parts = []
        for position, part in enumerate(_pattern(allowed, text, capture=True).split(text)):
            if position % 2:
                name = part if isinstance(part, str) else part.decode()
                parts.append(np.array([self.special_tokens[name]], self.dtype))
            elif part:
                parts.append(self._encode_ordinary(part))
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The text that ids stand for; U+FFFD where the bytes are not UTF-8."""
        return self.decode_bytes(ids).removeprefix(self.prefix).decode("utf-8", errors="replace")

    def _join(self, ids: Iterable[int], spelled: Mapping[int, bytes]) -> bytes:
        """The bytes of each id, one after the other.  Raises TokenizerError for an unknown one."""
        tokens = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        try:
            return b"".join(map(spelled.__getitem__, tokens))
        except KeyError:
            position = next(i for i, token in enumerate(tokens) if token not in spelled)
            raise TokenizerError(
                f"the id {tokens[position]} at position {position} is not in this tokenizer's "
                f"vocabulary of {self.vocab_size}. Decode with the tokenizer that made it."
            ) from None

    def special_id(self, name: str) -> int:
        """Id of a special token.  Raises TokenizerError naming those there are."""
        self._refuse_unknown({name})
        return self.special_tokens[name]

    def _refuse_unknown(self, names: Collection[str]) -> None:
        for name in sorted(set(names) - set(self.special_tokens)):
            known = ", ".join(self.special_tokens) or "it has none"
            raise TokenizerError(
                f"{name!r} is not a special token of this tokenizer. Known: {known}."
            )

    def _refuse(self, text: Text, names: Collection[str], allowed: Collection[str]) -> None:
        """Raise TokenizerError for one of `names` in a text, unless it is within an allowed one."""
        if not names:
            return
        for match in _pattern({*names, *allowed}, text).finditer(text):
            name = match.group() if isinstance(text, str) else match.group().decode()
            if name in names:
                raise TokenizerError(
                    f"the text holds the special token {name!r} at position {match.start()}, which "
                    "is not allowed here. Name it in allowed_special to mean it, or pass "
                    "disallowed_special=() to read it as ordinary characters."
                )


def _pattern(names: Iterable[str], text: Text, capture: bool = False) -> re.Pattern[Any]:
    """Matches any of `names`, the longest first, in a text of the type of `text`."""
    return _compile(frozenset(names), isinstance(text, str), capture)


@lru_cache(maxsize=32)
def _compile(names: frozenset[str], for_str: bool, capture: bool) -> re.Pattern[Any]:
    choices = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    choices = f"({choices})" if capture else choices
    return re.compile(choices if for_str else choices.encode())


def _as_bytes(text: object) -> bytes:
    try:
        return bytes(memoryview(text))  # type: ignore[arg-type]  # bytearray, memoryview, mmap
    except TypeError:
        raise TypeError(f"text must be str or bytes, not {type(text).__name__}") from None


class StreamingDecoder:
    """Turns ids into text one at a time without ever showing half a character.

    >>> decoder = StreamingDecoder(tokenizer)
    >>> for token in generated: print(decoder.push(token), end="", flush=True)
    >>> print(decoder.flush())
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that `token` completes: "" while a character still lacks bytes."""
        return self._utf8.decode(self._tokenizer.decode_bytes([token]))

    def flush(self) -> str:
        """U+FFFD for a character that never got its last bytes, else ""."""
        return self._utf8.decode(b"", final=True)


def stream(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Text of `ids`, piece by piece, as a StreamingDecoder gives it."""
    decoder = StreamingDecoder(tokenizer)
    for token in ids:
        yield decoder.push(token)
    yield decoder.flush()
