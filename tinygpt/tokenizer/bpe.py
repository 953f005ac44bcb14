"""The byte-level BPE tokenizer: any bytes in, the same bytes out.

A tokenizer is a list of merges, a pattern and some special tokens. Ids: the 256 bytes in GPT-2's
order, then one id per merge as it was learned, then the special tokens. Text is cut by the
pattern (pretokenize.py); each distinct pre-token is merged once and remembered, which is what
makes encoding fast, since real text repeats its words.

Read next: trainer.py for where merges come from, formats.py for other programs' files.
"""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.pretokenize import pattern_name, pattern_text, split, to_bytes
from tinygpt.tokenizer.vocabulary import Pair, as_ids, as_merges, check_specials, spell

FORMAT, VERSION = "tinygpt-bpe", 1

# GPT-2 numbered the printable bytes first, and every byte-level BPE since has kept that order; we
# keep it too, so that ids and ties agree. BYTES[id] is a byte, BYTE_IDS[byte] its id.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES = bytes(_PRINTABLE + [byte for byte in range(256) if byte not in _PRINTABLE])
BYTE_IDS = bytes(BYTES.index(byte) for byte in range(256))

_CACHE_WORDS = 2**16  # distinct pre-tokens remembered by the Python encoder, about 15 MB
_LONG = 64  # bytes; longer pre-tokens are merged with a heap


class BPETokenizer(Tokenizer):
    """Byte-level BPE.

    merges: pairs of ids in the order learned; merge i makes the token 256 + i, unless
        `merged_ids` says otherwise (in foreign files).
    pattern: "gpt2", "cl100k", "llama3", "o200k" or a regular expression.
    special_tokens: name -> id.
    byte_ids: the id of each byte value, 256 of them.
    extra_tokens: bytes -> id of tokens that no merge makes; only foreign files have such.
    whole_words: a pre-token that is a token as it stands is taken before any merge, as tiktoken
        does; among trained merges it makes no difference.
    Raises TokenizerError for what vocabulary.py refuses.
    """

    def __init__(
        self,
        merges: Sequence[Pair] | np.ndarray,
        pattern: str = "cl100k",
        special_tokens: Mapping[str, int] | None = None,
        byte_ids: Sequence[int] = BYTE_IDS,
        merged_ids: Sequence[int] | np.ndarray | None = None,
        extra_tokens: Mapping[bytes, int] | None = None,
        whole_words: bool = False,
    ):
        self.pattern = pattern_name(pattern_text(pattern))
        self.special_tokens = dict(special_tokens or {})
        self.extra_tokens = dict(extra_tokens or {})
        self.whole_words = bool(whole_words)
        pairs = as_merges(merges)
        if merged_ids is None:
            merged_ids = range(256, 256 + len(pairs))
        made = as_ids(merged_ids, "the merged tokens")
        as_ids(list(self.extra_tokens.values()), "the extra tokens")
        self.byte_ids: list[int] = as_ids(list(byte_ids), "the bytes").tolist()
        self.merged_ids: list[int] = made.tolist()
        self.merges: list[Pair] = list(zip(*pairs.T.tolist(), strict=True))
        self.token_bytes = spell(self.byte_ids, self.merges, self.merged_ids, self.extra_tokens)
        check_specials(self.special_tokens, self.token_bytes)
        specials = {token: name.encode() for name, token in self.special_tokens.items()}
        self._spelled = self.token_bytes | specials
        self._vocab_size = 1 + max(self._spelled)
        wholes = {data: token for token, data in self.token_bytes.items()} if whole_words else {}
        encoder: compiled.Encoder | PythonEncoder
        if compiled.available():
            encoder = compiled.Encoder(self.pattern, self.byte_ids, pairs, made, wholes)
        else:
            encoder = PythonEncoder(self.pattern, self.byte_ids, self.merges, made.tolist(), wholes)
        self._encoder = encoder

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as what it was made from: the C objects are made anew."""
        made_from = (
            self.merges, self.pattern, self.special_tokens, self.byte_ids, self.merged_ids,
            self.extra_tokens, self.whole_words,
        )
        return BPETokenizer, made_from

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    def _encode_ordinary(self, text: Text) -> np.ndarray:
        return self._encoder.encode(to_bytes(text), self.dtype)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return self._join(ids, self._spelled)

    def to_json(self) -> str:
        """One JSON object, one merge a line."""
        data: dict[str, Any] = {
            "format": FORMAT, "version": VERSION, "pattern": self.pattern,
            "special_tokens": self.special_tokens,
        }
        # The rest is only in tokenizers that came from elsewhere.
        if self.byte_ids != list(BYTE_IDS):
            data["byte_ids"] = self.byte_ids
        if self.merged_ids != list(range(256, 256 + len(self.merges))):
            data["merged_ids"] = self.merged_ids
        if self.extra_tokens:
            data["extra_tokens"] = {
                base64.b64encode(token).decode(): i for token, i in self.extra_tokens.items()
            }
        if self.whole_words:
            data["whole_words"] = True
        merges = ",\n".join(f"  [{left}, {right}]" for left, right in self.merges)
        head = json.dumps(data, indent=1)[:-2]
        return f'{head},\n "merges": [\n{merges}\n ]\n}}\n'


Ranks = Mapping[Pair, tuple[int, int]]  # pair -> (rank, id of the merged token)


class PythonEncoder:
    """Text to ids without C.  Arguments as BPETokenizer's; see compiled.Encoder for the other."""

    def __init__(
        self,
        pattern: str,
        byte_ids: Sequence[int],
        merges: Sequence[Pair],
        merged_ids: Sequence[int],
        whole_words: Mapping[bytes, int],
    ):
        self._pattern, self._byte_ids, self._whole_words = pattern, byte_ids, whole_words
        self._ranks: Ranks = {
            pair: (rank, new)
            for rank, (pair, new) in enumerate(zip(merges, merged_ids, strict=True))
        }
        self._cache: dict[bytes, list[int]] = {}

    def encode(self, data: bytes, dtype: np.dtype) -> np.ndarray:
        """The ids of all of `data`, (n,) of dtype."""
        ids: list[int] = []
        for word in split(data, self._pattern):
            known = self._cache.get(word)
            ids += self._merge(word) if known is None else known
        return np.array(ids, dtype)

    def _merge(self, word: bytes) -> list[int]:
        if word in self._whole_words:
            merged = [self._whole_words[word]]
        else:
            merged = merge([self._byte_ids[byte] for byte in word], self._ranks)
        if len(self._cache) >= _CACHE_WORDS:
            self._cache.clear()
        self._cache[word] = merged
        return merged


def merge(ids: list[int], ranks: Ranks) -> list[int]:
    """Merge one pre-token: again and again the pair learned first, leftmost first."""
    return merge_long(ids, ranks) if len(ids) > _LONG else merge_short(ids, ranks)


def merge_short(ids: list[int], ranks: Ranks) -> list[int]:
    """Looks at every pair for each merge: for the few bytes of a word the fastest way."""
    ids = list(ids)
    while len(ids) > 1:
        best, where = min(
            (ranks.get(pair, (len(ranks), 0))[0], position)
            for position, pair in enumerate(zip(ids, ids[1:], strict=False))
        )
        if best == len(ranks):
            break
        ids[where : where + 2] = [ranks[ids[where], ids[where + 1]][1]]
    return ids


def merge_long(ids: list[int], ranks: Ranks) -> list[int]:
    """The same in O(n log n), for a pre-token of any length: a heap over a linked list."""
    n = len(ids)
    ids = list(ids)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))
    queue: list[tuple[int, int, int, int]] = []  # (rank, position, left id, right id)

    def offer(position: int) -> None:
        if position >= 0 and after[position] < n:
            pair = ids[position], ids[after[position]]
            if pair in ranks:
                heapq.heappush(queue, (ranks[pair][0], position, *pair))

    for position in range(n - 1):
        offer(position)
    while queue:
        _, position, left, right = heapq.heappop(queue)
        other = after[position]
        if ids[position] != left or other >= n or ids[other] != right:
            continue  # one of the two has been merged since
        ids[position], ids[other] = ranks[left, right][1], -1
        after[position] = after[other]
        if after[position] < n:
            before[after[position]] = position
        offer(before[position])
        offer(position)
    return [token for token in ids if token >= 0]
