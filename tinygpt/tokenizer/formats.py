"""Tokenizer files: the project's own JSON, and those of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinygpt.tokenizer import char
from tinygpt.tokenizer.base import Tokenizer, TokenizerError
from tinygpt.tokenizer.bpe import BYTE_IDS, BPETokenizer
from tinygpt.tokenizer.files import parse_json, read_bytes, write_text

FORMAT = "tinygpt-bpe"
VERSION = 1


def load(path: str | Path) -> Tokenizer:
    """Open a tokenizer file.  Raises TokenizerError for one that is corrupt or foreign."""
    data = parse_json(read_bytes(path), path)
    kind = data.get("format")
    if kind not in (FORMAT, char.FORMAT):
        raise TokenizerError(
            f"{path} is no tokenizer file known here. Give one from `tinygpt tokenizer train`."
        )
    if data.get("version") != VERSION:
        raise TokenizerError(
            f"{path} has version {data.get('version')!r} of its format and this program knows "
            f"{VERSION}. Update tinygpt."
        )
    try:
        if kind == char.FORMAT:
            return char.CharTokenizer.from_json(data, path)
        return _read_native(data)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def save_native(tokenizer: BPETokenizer, path: str | Path) -> None:
    """Write our own JSON: one merge a line, so that it can be read and compared."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "pattern": tokenizer.pattern,
        "special_tokens": tokenizer.special_tokens,
    }
    if tokenizer.byte_ids != list(BYTE_IDS):
        data["byte_ids"] = tokenizer.byte_ids
    if tokenizer.merged_ids != list(range(256, 256 + len(tokenizer.merges))):
        data["merged_ids"] = tokenizer.merged_ids
    merges = ",\n".join(f"  [{left}, {right}]" for left, right in tokenizer.merges)
    head = json.dumps(data, indent=1)[:-2]
    write_text(path, f'{head},\n "merges": [\n{merges}\n ]\n}}\n')


def _read_native(data: dict[str, Any]) -> BPETokenizer:
    pattern, specials, merges = (data.get(k) for k in ("pattern", "special_tokens", "merges"))
    byte_ids, merged_ids = data.get("byte_ids", list(BYTE_IDS)), data.get("merged_ids")
    if not isinstance(pattern, str):
        raise TokenizerError("'pattern' is missing or not text. Restore the file.")
    if not isinstance(specials, dict) or not _are_ids(list(specials.values())):
        raise TokenizerError("'special_tokens' must map names to ids. Restore the file.")
    if not isinstance(merges, list) or not all(
        isinstance(m, list) and len(m) == 2 and _are_ids(m) for m in merges
    ):
        raise TokenizerError("'merges' must be a list of pairs of ids. Restore the file.")
    if not _are_ids(byte_ids) or len(byte_ids) != 256:
        raise TokenizerError("'byte_ids' must be 256 ids. Restore the file.")
    if merged_ids is not None and not (_are_ids(merged_ids) and len(merged_ids) == len(merges)):
        raise TokenizerError("'merged_ids' must hold one id for each merge. Restore the file.")
    return BPETokenizer(merges, pattern, specials, byte_ids, merged_ids)


def _are_ids(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**31 for v in values
    )
