"""tiktoken's rank files: one line per token, its bytes in base64 and its rank, which is its id.

There are no merges in such a file and none are needed: tiktoken merges any two neighbours whose
bytes together are a token, lowest rank first. For tokens that BPE training made, exactly one pair
of tokens can ever meet to form each (see trainer.py), so the merges can be read off. The file says
nothing of the pattern and the special tokens: whoever loads it has to.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from tinygpt.tokenizer.bpe import BPETokenizer, merge_short
from tinygpt.tokenizer.files import TokenizerError

_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n?")


def looks_like(data: bytes) -> bool:
    """Is the first line of the form "base64 rank"?"""
    return _LINE.fullmatch(data[: data.find(b"\n") + 1] or data[:1000]) is not None


def write(tokenizer: BPETokenizer) -> str:
    """The text of a rank file that gives the same ids.  Raises TokenizerError if there is none."""
    ids = tokenizer.merged_ids
    if any(after <= before for before, after in zip(ids, ids[1:], strict=False)):
        raise TokenizerError(
            "the ids of this tokenizer are not in the order of its merges, which a tiktoken file "
            "cannot say. Save it as huggingface instead."
        )
    if tokenizer.extra_tokens and not tokenizer.whole_words:
        raise TokenizerError(
            "this tokenizer has tokens that no merge makes, which tiktoken would use. Save it as "
            "huggingface instead."
        )
    lines = [
        f"{base64.b64encode(tokenizer.token_bytes[token]).decode()} {token}"
        for token in sorted(tokenizer.token_bytes)
    ]
    return "\n".join(lines) + "\n"


def read(data: bytes, pattern: str, special_tokens: Mapping[str, int] | None) -> BPETokenizer:
    """A tokenizer from a rank file.  Raises TokenizerError for a damaged one."""
    ranks = _parse(data)
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise TokenizerError(
            f"it lacks {len(missing)} of the 256 bytes ({missing[0]:#04x} first). Restore the file."
        )
    merges, extra = recover_merges(ranks)
    return BPETokenizer(
        list(merges),
        pattern,
        special_tokens,
        byte_ids=[ranks[bytes([byte])] for byte in range(256)],
        merged_ids=list(merges.values()),
        extra_tokens=extra,
        whole_words=bool(extra),  # without such tokens it makes no difference
    )


def recover_merges(
    ranks: Mapping[bytes, int],
) -> tuple[dict[tuple[int, int], int], dict[bytes, int]]:
    """The merge that makes each token: (left, right) -> id; and the tokens that none makes.

    >>> ranks = {b"a": 0, b"b": 1, b"ab": 2, b"aba": 3, b"xy": 4}
    >>> recover_merges(ranks)
    ({(0, 1): 2, (2, 0): 3}, {b'xy': 4})
    """
    merges: dict[tuple[int, int], int] = {}
    order: dict[tuple[int, int], tuple[int, int]] = {}  # as merge_short wants it
    extra: dict[bytes, int] = {}
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) == 1:
            continue
        pairs = [
            (ranks[token[:cut]], ranks[token[cut:]])
            for cut in range(1, len(token))
            if token[:cut] in ranks and token[cut:] in ranks
        ]
        if len(pairs) > 1:  # the one that is left when all earlier merges are made
            ids = [ranks.get(token[i : i + 1], -1) for i in range(len(token))]
            parts = merge_short(ids, order)
            pairs = [(parts[0], parts[1])] if len(parts) == 2 else []
        if pairs:
            merges[pairs[0]] = rank
            order[pairs[0]] = (len(order), rank)
        else:
            extra[token] = rank
    return merges, extra


def _parse(data: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    seen: set[int] = set()
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        try:
            text, rank = line.split()
            token, value = base64.b64decode(text, validate=True), int(rank)
        except (ValueError, binascii.Error):
            raise TokenizerError(
                f"line {number} is not 'base64 rank': {line[:40]!r}. Restore the file."
            ) from None
        if not token or token in ranks or value in seen or not 0 <= value < 2**31:
            raise TokenizerError(
                f"line {number} repeats a token or a rank, or its rank is out of range. Restore "
                "the file."
            )
        ranks[token] = value
        seen.add(value)
    return ranks
