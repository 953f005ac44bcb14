"""What a byte-level vocabulary must be, checked in one place: when a tokenizer is made.

A tokenizer is data from a file that anybody may have written. What is let through here encodes
alike in Python and in C, whatever it is, and takes memory in proportion to its file:

    bytes      256 different ids
    merges     pairs that differ, each of two tokens that are there before it: so nothing is made of
               itself, and the order in which merges apply is the order in which they stand
    tokens     one id each and one spelling each; but several merges may make the same token, since
               files converted from ranks list every way to make one
    specials   names that are text, ids of their own

A merge names two tokens and so may double the longest one: thirty of them, half a kilobyte of file,
would spell a gigabyte. All spellings together may have 16 MiB and 256 bytes for each token (real
ones have 7; the longest in public use has 512): a merge takes 8 bytes of a file, so memory stays
below 32 times the file's size, and 16 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer.files import TokenizerError

Pair = tuple[int, int]

MOST_IDS = 2**22  # a row of the model's embedding each; the largest public vocabulary has 2**18
_BYTES_IN_ALL, _BYTES_A_TOKEN = 16 << 20, 256


def as_ids(values: Sequence[Any] | np.ndarray, what: str) -> np.ndarray:
    """`values` as (n,) int64 in range.  Raises TokenizerError saying `what` they are."""
    return _in_range(np.asarray(values, None if len(values) else np.int64), what).reshape(-1)


def as_merges(merges: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Pairs of ids, (n, 2) int64, no two of them equal.  Raises TokenizerError."""
    try:
        pairs = np.asarray(merges, None if len(merges) else np.int64)
    except ValueError:  # rows of different lengths
        pairs = np.empty(0)
    if len(merges) and (pairs.ndim != 2 or pairs.shape[1] != 2):
        raise TokenizerError("the merges of this tokenizer are not pairs of ids. Restore its file.")
    pairs = _in_range(pairs, "the merges").reshape(-1, 2)
    keys = pairs[:, 0] << 32 | pairs[:, 1]
    if len(np.unique(keys, return_index=True)[0]) < len(pairs):
        _, first, back = np.unique(keys, return_index=True, return_inverse=True)
        rank = int(np.flatnonzero(first[back] != np.arange(len(pairs)))[0])
        raise TokenizerError(
            f"merge {rank} of this tokenizer joins the pair {tuple(pairs[rank].tolist())}, which "
            f"merge {first[back[rank]]} joins already. Restore its file, or remove one of them."
        )
    return pairs


def _in_range(ids: np.ndarray, what: str) -> np.ndarray:
    if ids.dtype.kind not in "iu":
        raise TokenizerError(f"{what} of this tokenizer are not ids, which are whole numbers.")
    outside = ids[(ids < 0) | (ids >= MOST_IDS)]
    if len(outside):
        raise TokenizerError(
            f"{what} of this tokenizer hold the id {outside[0]}, outside 0..{MOST_IDS - 1}."
        )
    return ids.astype(np.int64)


def spell(
    byte_ids: Sequence[int],
    merges: Sequence[Pair],
    merged_ids: Sequence[int],
    extra_tokens: Mapping[bytes, int],
) -> dict[int, bytes]:
    """The bytes of every id that is not special.  Raises TokenizerError for what cannot be."""
    spelled = {token: bytes([byte]) for byte, token in enumerate(byte_ids)}
    if len(byte_ids) != 256 or len(spelled) != 256:
        raise TokenizerError("a tokenizer needs 256 different ids for the bytes. Restore its file.")
    if len(merged_ids) != len(merges):
        raise TokenizerError(
            f"this tokenizer has {len(merges)} merges and {len(merged_ids)} ids for them."
        )
    for token_bytes, token in extra_tokens.items():
        if token in spelled or not token_bytes:
            raise TokenizerError(f"the id {token} of this tokenizer is taken twice or is empty.")
        spelled[token] = token_bytes
    room = _BYTES_IN_ALL + _BYTES_A_TOKEN * (len(spelled) + len(merges))
    room -= sum(map(len, extra_tokens))
    try:
        for (left, right), new in zip(merges, merged_ids, strict=True):
            joined = spelled[left] + spelled[right]
            if spelled.setdefault(new, joined) is not joined and spelled[new] != joined:
                raise TokenizerError(f"the id {new} of this tokenizer is taken twice.")
            room -= len(joined)
            if room < 0:
                break
    except KeyError as unknown:
        raise TokenizerError(
            f"a merge of this tokenizer, {left} with {right}, joins the token {unknown}, which is "
            "unknown at that point. Restore its file."
        ) from None
    if room < 0:
        raise TokenizerError(
            f"a merge of this tokenizer makes a token of {len(joined):,} bytes: together its "
            f"tokens would have more than {_BYTES_IN_ALL >> 20} MiB and {_BYTES_A_TOKEN} bytes "
            "each. No text needs such; train another."
        )
    refuse_equal_spellings(spelled)
    return spelled


def refuse_equal_spellings(spelled: Mapping[int, bytes]) -> None:
    """Raises TokenizerError for two ids of the same bytes."""
    if len(set(spelled.values())) == len(spelled):
        return
    first: dict[bytes, int] = {}
    for token, data in spelled.items():
        if first.setdefault(data, token) != token:
            raise TokenizerError(
                f"the ids {first[data]} and {token} of this tokenizer are both {data[:40]!r}, so "
                "that one of them can never come up. Restore its file."
            )


def check_specials(special_tokens: Mapping[str, int], spelled: Mapping[int, bytes]) -> None:
    """Raises TokenizerError for a name that no text can hold or an id that is taken."""
    as_ids(list(special_tokens.values()), "the special tokens")
    names: dict[int, str] = {}
    for name, token in special_tokens.items():
        if not isinstance(name, str) or not name:
            raise TokenizerError(
                f"a special token {name!r} would stand everywhere. Give it a name, or give none."
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            raise TokenizerError(
                f"the special token {name!r} holds half a character, which no text does."
            ) from None
        if token in spelled or names.setdefault(token, name) != name:
            raise TokenizerError(
                f"the special token {name!r} has the id {token}, which is taken. Give it another."
            )
