"""tiktoken's rank files: one line per token, its bytes in base64 and its rank, which is its id.

There are no merges in such a file and none are needed: tiktoken merges any two neighbours whose
bytes together are a token, lowest rank first. What stands between two cuts that both survive is
merged as if it stood alone (see trainer.py), so exactly one pair of tokens can ever meet to form
each: the two that are left when the token's own bytes are merged by all that come before it. That
is how the merges are read off, in time that is linear in the file but for a logarithm. A token of
which more than two parts are left is never formed; it is taken only where it is a whole pre-token.

The file says nothing of the pattern and the special tokens: whoever loads it has to.
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Mapping, Sequence

import numpy as np

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.bpe import BPETokenizer, merge
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.vocabulary import Pair, as_ids

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
    tokens, ranks = _parse(data)
    byte_ids = {t[0]: rank for t, rank in zip(tokens, ranks, strict=True) if len(t) == 1}
    missing = [byte for byte in range(256) if byte not in byte_ids]
    if missing:
        raise TokenizerError(
            f"it lacks {len(missing)} of the 256 bytes ({missing[0]:#04x} first). Restore the file."
        )
    merges, merged_ids, extra = recover_merges(tokens, ranks)
    return BPETokenizer(
        merges,
        pattern,
        special_tokens,
        byte_ids=[byte_ids[byte] for byte in range(256)],
        merged_ids=merged_ids,
        extra_tokens=extra,
        whole_words=bool(extra),  # without such tokens it makes no difference
    )


def recover_merges(
    tokens: Sequence[bytes], ranks: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, dict[bytes, int]]:
    """The merges (n, 2), the tokens that they make (n,), and the tokens that none makes.

    tokens: in the order of their ranks. Raises TokenizerError for a token that is made of tokens of
    a higher rank: no training makes such, and a list of merges cannot say it.

    >>> merges, made, extra = recover_merges([b"a", b"b", b"ab", b"aba", b"xy"], range(5))
    >>> merges.tolist(), made.tolist(), extra
    ([[0, 1], [2, 0]], [2, 3], {b'xy': 4})
    """
    ids = np.array(ranks, np.int64)
    recover = compiled.recover_pairs if compiled.available() else _recover_pairs
    pairs = recover(tokens, ids)
    made = pairs[:, 0] >= 0
    left = np.flatnonzero(~made).tolist()
    extra = {tokens[k]: int(ids[k]) for k in left if len(tokens[k]) > 1}
    return pairs[made], ids[made], extra


def _recover_pairs(tokens: Sequence[bytes], ids: np.ndarray) -> np.ndarray:
    """The two tokens that are left of each when all earlier merges are made, (n, 2); else -1, -1.

    tokens: in the order of their ranks, single bytes among them.  compiled.recover_pairs is the
    same in C.
    """
    byte_ids = {token[0]: int(ids[k]) for k, token in enumerate(tokens) if len(token) == 1}
    order: dict[Pair, tuple[int, int]] = {}
    pairs = np.full((len(tokens), 2), -1, np.int32)

    def parts(token: bytes) -> list[int]:
        return merge([byte_ids.get(byte, -1) for byte in token], order)

    for k, token in enumerate(tokens):
        left = parts(token)
        if len(left) == 2:
            pairs[k] = left
            order[left[0], left[1]] = (len(order), int(ids[k]))
    for k in np.flatnonzero(pairs[:, 0] < 0).tolist():
        if len(parts(tokens[k])) == 2:
            raise TokenizerError(compiled.LATE_TOKEN.format(tokens[k][:40]))
    return pairs


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \r\n"


def _parse(data: bytes) -> tuple[list[bytes], list[int]]:
    """Tokens and ranks, in the order of the ranks.

    All lines at once; one by one only to say which of them is wrong.
    """
    words = data.split()
    # "=" fills up the end of a word, and stands nowhere else: a2b_base64 would pass over it.
    at_ends = data.count(b"= ") + data.count(b"== ")
    if len(words) % 2 or data.translate(None, _ALPHABET) or data.count(b"=") != at_ends:
        raise _wrong_line(data)
    try:
        tokens = list(map(binascii.a2b_base64, words[::2]))
        ranks = list(map(int, words[1::2]))
    except ValueError:  # base64 of a length that does not exist; no number, or one of 5,000 digits
        raise _wrong_line(data) from None
    if not len(set(tokens)) == len(set(ranks)) == len(tokens) or not all(tokens):
        raise _wrong_line(data)
    if any(map(operator.gt, ranks, ranks[1:])):
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        tokens, ranks = [tokens[k] for k in order], [ranks[k] for k in order]
    as_ids(ranks, "the ranks")
    return tokens, ranks


def _wrong_line(data: bytes) -> TokenizerError:
    seen: set[bytes] = set()
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if words and not _LINE.fullmatch(line):
            return TokenizerError(
                f"line {number} is not 'base64 rank': {line[:40]!r}. Restore the file."
            )
        if not seen.isdisjoint(words):
            return TokenizerError(f"line {number} repeats a token or a rank. Restore the file.")
        seen.update(words)
    return TokenizerError("a token in it is not base64, or a rank is no number. Restore the file.")
