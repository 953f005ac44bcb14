"""Tokenizer files: the project's own JSON here, other programs' next door.

    tinygpt       one JSON object, one merge a line: what `save` writes unless told otherwise
    huggingface   tokenizer.json, byte-level BPE (huggingface.py)
    tiktoken      lines of "base64-of-token rank" (tiktoken_ranks.py)

and, to be read only, SentencePiece's: its .model, or a tokenizer.json (sentencepiece_files.py).

`export` writes any of the three. `load` tells them apart by what is in them. Files are checked
before use: a damaged or foreign one is refused with a sentence, never half read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygpt.tokenizer import (
    char,
    huggingface,
    sentencepiece,
    sentencepiece_files,
    tiktoken_ranks,
    unigram,
)
from tinygpt.tokenizer.base import Tokenizer
from tinygpt.tokenizer.bpe import BYTE_IDS, FORMAT, VERSION, BPETokenizer
from tinygpt.tokenizer.files import TokenizerError, parse_json, read_bytes, write_text

FORMATS = ("tinygpt", "huggingface", "tiktoken")


def load(
    path: str | Path, pattern: str | None = None, special_tokens: Mapping[str, int] | None = None
) -> Tokenizer:
    """Open a tokenizer file of any known format.

    pattern, special_tokens: for tiktoken's rank files, which say neither (default: cl100k, none).
    Raises TokenizerError for a file that is missing, corrupt or foreign.
    """
    data = read_bytes(path)
    try:
        if tiktoken_ranks.looks_like(data):
            return tiktoken_ranks.read(data, pattern or "cl100k", special_tokens)
        if pattern or special_tokens:
            raise TokenizerError(
                "it states its own pattern and special tokens. Leave out those you gave."
            )
        if sentencepiece_files.looks_like_model(data):
            return sentencepiece_files.read_model(data)
        return from_json(data)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def export(tokenizer: BPETokenizer, path: str | Path, format: str) -> None:
    """Write a BPE tokenizer in one of FORMATS.  Raises TokenizerError for what it cannot hold."""
    writers = {
        "tinygpt": BPETokenizer.to_json,
        "huggingface": huggingface.write,
        "tiktoken": tiktoken_ranks.write,
    }
    if format not in writers:
        raise TokenizerError(f"no format {format!r}. Choose one of: {', '.join(FORMATS)}.")
    write_text(path, writers[format](tokenizer))


def from_json(text: str | bytes) -> Tokenizer:
    """The tokenizer of a JSON text, ours or Hugging Face's.  Raises TokenizerError."""
    return _from_json(parse_json(text))


def _from_json(data: dict[str, Any]) -> Tokenizer:
    kind = data.get("format")
    if kind is None and isinstance(data.get("model"), dict):
        if sentencepiece_files.is_huggingface(data):
            return sentencepiece_files.read_huggingface(data)
        return huggingface.read(data)
    if kind not in (FORMAT, char.FORMAT, unigram.FORMAT, sentencepiece.FORMAT):
        raise TokenizerError(
            "this is no tokenizer file known here. Give one from `tinygpt tokenizer train`, a "
            "Hugging Face tokenizer.json, a SentencePiece .model or a tiktoken rank file."
        )
    if data.get("version") != VERSION:
        raise TokenizerError(
            f"version {data.get('version')!r} of this format is not the {VERSION} known here. "
            "Update tinygpt."
        )
    if kind == char.FORMAT:
        return char.CharTokenizer.from_json(data)
    if kind == unigram.FORMAT:
        return unigram.UnigramTokenizer.from_json(data)
    if kind == sentencepiece.FORMAT:
        return sentencepiece.SentencePieceTokenizer.from_json(data)
    return _read_bpe(data)


def _read_bpe(data: dict[str, Any]) -> BPETokenizer:
    pattern, specials, merges = (data.get(k) for k in ("pattern", "special_tokens", "merges"))
    byte_ids, merged_ids = data.get("byte_ids", list(BYTE_IDS)), data.get("merged_ids")
    extra = data.get("extra_tokens", {})
    if not isinstance(pattern, str):
        raise TokenizerError("'pattern' is missing or not text. Restore the file.")
    if not isinstance(specials, dict) or not _are_ids(list(specials.values())):
        raise TokenizerError("'special_tokens' must map names to ids. Restore the file.")
    if not isinstance(merges, list) or not all(_are_ids(m) and len(m) == 2 for m in merges):
        raise TokenizerError("'merges' must be a list of pairs of ids. Restore the file.")
    if not _are_ids(byte_ids) or len(byte_ids) != 256:
        raise TokenizerError("'byte_ids' must be 256 ids. Restore the file.")
    if merged_ids is not None and not (_are_ids(merged_ids) and len(merged_ids) == len(merges)):
        raise TokenizerError("'merged_ids' must hold one id for each merge. Restore the file.")
    if not isinstance(extra, dict) or not _are_ids(list(extra.values())):
        raise TokenizerError("'extra_tokens' must map base64 to ids. Restore the file.")
    try:
        extra = {base64.b64decode(token, validate=True): i for token, i in extra.items()}
    except (binascii.Error, ValueError):
        raise TokenizerError("a key of 'extra_tokens' is not base64. Restore the file.") from None
    whole_words = data.get("whole_words") is True
    return BPETokenizer(merges, pattern, specials, byte_ids, merged_ids, extra, whole_words)


def _are_ids(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**31 for v in values
    )
