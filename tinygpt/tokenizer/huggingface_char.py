"""A character tokenizer as Hugging Face's tokenizer.json: BPE without a merge.

Theirs drops a character that it does not know, where ours refuses the text.
"""

from __future__ import annotations

import json
from typing import Any

from tinygpt.tokenizer.char import CharTokenizer
from tinygpt.tokenizer.files import TokenizerError


def write(tokenizer: CharTokenizer) -> str:
    """The text of a tokenizer.json that gives the same ids for the characters that it knows."""
    data: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {
                "id": token, "content": name, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True,
            }
            for name, token in tokenizer.special_tokens.items()
        ],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {character: i for i, character in enumerate(tokenizer.characters)},
            "merges": [],
        },
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def is_one(data: dict[str, Any]) -> bool:
    """Whether a parsed tokenizer.json cuts text into characters and merges none."""
    model = data["model"]
    kind = model.get("type"), model.get("merges"), model.get("byte_fallback", False)
    return kind == ("BPE", [], False) and not data.get("pre_tokenizer")


def read(data: dict[str, Any]) -> CharTokenizer:
    """A tokenizer from such a file.  Raises TokenizerError for ids that are not in a row."""
    vocab, added = data["model"].get("vocab"), data.get("added_tokens") or []
    try:
        characters = {text: token for text, token in vocab.items() if len(text) == 1}
        names = {token["content"]: token["id"] for token in added}
    except (AttributeError, TypeError, KeyError):
        raise TokenizerError(
            "its 'vocab' or 'added_tokens' are damaged. Restore the file."
        ) from None
    in_a_row = [*characters.values(), *names.values()]
    words = all(isinstance(name, str) for name in names)
    if not words or in_a_row != list(range(len(in_a_row))) or set(vocab) - {*characters, *names}:
        raise TokenizerError("its characters have no ids in a row. Restore the file.")
    if data.get("normalizer") or data.get("post_processor"):
        raise TokenizerError("it does more than cut a text into characters.")
    return CharTokenizer("".join(characters), tuple(names))
