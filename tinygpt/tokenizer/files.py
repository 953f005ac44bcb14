"""Reading and writing small files so that nothing already written is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinygpt.errors import UserError
from tinygpt.storage import reading
from tinygpt.storage.durable import replace_file


class TokenizerError(UserError, ValueError):
    """Text, ids or a file that this tokenizer cannot take."""


def write_text(path: str | Path, text: str) -> None:
    """Write atomically: a crash or a full disk leaves the old file whole."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    except OSError as error:
        raise TokenizerError(
            f"cannot write {path}: {error.strerror}. Choose another place or make room there."
        ) from None


def read_bytes(path: str | Path) -> bytes:
    """The content of `path`, or a TokenizerError that says why not."""
    try:
        return reading.read_bytes(Path(path))
    except reading.FormatError as error:
        raise TokenizerError(
            f"cannot read the tokenizer {path}: it {error}. Give the path of a file that "
            "`tinygpt tokenizer train` wrote."
        ) from None


def parse_json(data: str | bytes) -> dict[str, Any]:
    """The JSON object in `data`.  Raises TokenizerError when there is none."""
    try:
        value = json.loads(data)
    except ValueError as error:  # not UTF-8 and not JSON both arrive here
        raise TokenizerError(f"this is not JSON ({error}). Restore the file.") from None
    except RecursionError:
        raise TokenizerError("this is nested too deeply for a tokenizer file.") from None
    if not isinstance(value, dict):
        raise TokenizerError("this holds no tokenizer: its JSON is not an object.")
    return value
