"""WordPiece as BERT has it: words cut into the longest known pieces, from the left.

A text is cleaned (case, accents and control characters go, as the file says), cut at white space
and around punctuation, and each word is cut greedily: the longest piece that begins it, then the
longest that goes on, written "##...". A word that cannot be cut so is the unknown token. So ids do
not give back the text that they were made from: this is for models that read, and write nothing.

Such a tokenizer is kept as the tokenizer.json that it came from.

Source: Devlin et al. 2019; Schuster and Nakajima 2012.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.files import TokenizerError

NORMALIZER = {  # what each setting is if the file leaves it out
    "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True,
}
MOST_IDS = 1 << 22
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer(Tokenizer):
    """Text to ids of pieces.

    data: a parsed tokenizer.json.  Raises TokenizerError for one that is damaged or does more than
    the above.
    """

    def __init__(self, data: dict[str, Any]):
        model = data["model"]
        self._data, self._vocab = data, _ids(model.get("vocab"))
        self.special_tokens = _specials(data.get("added_tokens") or [], self._vocab)
        self._settings = _settings(data.get("normalizer"), data.get("pre_tokenizer"))
        self._going_on = model.get("continuing_subword_prefix", "##")
        self._longest = model.get("max_input_chars_per_word", 100)
        unknown = self._vocab.get(model.get("unk_token", "[UNK]"))
        if not isinstance(self._going_on, str) or type(self._longest) is not int or unknown is None:
            raise TokenizerError("its 'model' is damaged. Restore the file.")
        self._unknown = unknown
        self._spelled = {token: text for text, token in self._vocab.items()}
        self._spelled |= {token: name for name, token in self.special_tokens.items()}
        self._reach = max(map(len, self._vocab))

    @property
    def vocab_size(self) -> int:
        return 1 + max(self._spelled)

    def _encode_ordinary(self, text: Text) -> np.ndarray:
        text = text if isinstance(text, str) else text.decode("utf-8", "replace")
        ids = [token for word in self._words(text) for token in self._pieces(word)]
        return np.array(ids, self.dtype)

    def _words(self, text: str) -> Iterator[str]:
        """Words and signs of a cleaned text."""
        for part in self._cleaned(text).split():
            start = 0
            for at, character in enumerate(part):
                if _is_punctuation(character):
                    if start < at:
                        yield part[start:at]
                    yield character
                    start = at + 1
            if start < len(part):
                yield part[start:]

    def _cleaned(self, text: str) -> str:
        settings = self._settings
        if settings["clean_text"]:
            text = "".join(
                " " if c.isspace() else c for c in text
                if c in "\t\n\r" or not (c == "\ufffd" or unicodedata.category(c)[0] == "C")
            )
        if settings["handle_chinese_chars"]:
            text = "".join(f" {c} " if _is_ideograph(c) else c for c in text)
        accents = settings["strip_accents"]
        if settings["lowercase"] if accents is None else accents:
            apart = unicodedata.normalize("NFD", text)
            text = "".join(c for c in apart if unicodedata.category(c) != "Mn")
        return "".join(c.lower() for c in text) if settings["lowercase"] else text

    def _pieces(self, word: str) -> list[int]:
        if len(word) > self._longest:
            return [self._unknown]
        ids, start = [], 0
        while start < len(word):
            before = self._going_on if start else ""
            ends = range(min(len(word), start + self._reach), start, -1)
            end = next((end for end in ends if before + word[start:end] in self._vocab), None)
            if end is None:
                return [self._unknown]
            ids.append(self._vocab[before + word[start:end]])
            start = end
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Words with a space between them."""
        text = ""
        for position, token in enumerate(ids):
            piece = self._spelled.get(int(token))
            if piece is None:
                raise TokenizerError(
                    f"the id {token} at position {position} is not in this tokenizer's vocabulary "
                    f"of {self.vocab_size}. Decode with the tokenizer that made it."
                )
            goes_on = bool(text) and piece.startswith(self._going_on)
            text += piece[len(self._going_on) :] if goes_on else " " * bool(text) + piece
        return text.encode("utf-8", "surrogatepass")

    def to_json(self) -> str:
        return json.dumps(self._data, ensure_ascii=False, indent=1) + "\n"


def _is_punctuation(character: str) -> bool:
    """Signs of ASCII that Unicode calls symbols count as well."""
    sign = character.isascii() and character.isprintable() and not character.isalnum()
    return (sign and character != " ") or unicodedata.category(character)[0] == "P"


def _is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)


def _ids(vocab: Any) -> dict[str, int]:
    """A vocabulary whose ids differ.  Raises TokenizerError."""
    good = isinstance(vocab, dict) and vocab and all(
        type(token) is int and 0 <= token < MOST_IDS for token in vocab.values()
    )
    if not good or len(set(vocab.values())) < len(vocab):
        raise TokenizerError("'vocab' is missing or its ids are not its own. Restore the file.")
    return dict(vocab)


def _specials(added: Any, vocab: dict[str, int]) -> dict[str, int]:
    names: dict[str, int] = {}
    for token in added if isinstance(added, list) else [added]:
        entry = token if isinstance(token, dict) else {}
        name = str(entry.get("content") or "")
        number: Any = entry.get("id")
        known = bool(name) and type(number) is int and 0 <= number < MOST_IDS
        if not known or vocab.get(name, number) != number:
            raise TokenizerError("'added_tokens' is damaged. Restore the file.")
        names[name] = number
    return names


def _settings(normalizer: Any, pre_tokenizer: Any) -> dict[str, Any]:
    """The settings of BERT's normalizer.  Raises TokenizerError for another."""
    for step, kind in ((normalizer, "BertNormalizer"), (pre_tokenizer, "BertPreTokenizer")):
        if not isinstance(step, dict) or step.get("type") != kind:
            found = step.get("type") if isinstance(step, dict) else step
            raise TokenizerError(
                f"it cleans or cuts text by {found!r:.40}, and WordPiece is read with {kind} here. "
                "Use BERT's own tokenizer."
            )
    return {name: normalizer.get(name, default) for name, default in NORMALIZER.items()}
