"""Encoding more text than memory holds, on every core, in order.

cffi releases the interpreter's lock while C encodes, so plain threads are enough: each takes the
next block of text and has its own cache of words. A few blocks are in flight at a time, so memory
stays at some tens of megabytes however long the text is.

A long text is cut into blocks only where every known pattern cuts it anyway, whatever stands on
either side: after a letter that no letter follows, and between a number and white space. (Not in
or after white space: patterns look ahead there.) So the ids are those of the text in one go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
import regex

from minigrad import get_num_workers
from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.bpe import BPETokenizer
from tinygpt.tokenizer.pretokenize import PATTERNS, to_bytes, to_str

_BLOCK = 4 << 20  # bytes
_TAIL = 4096  # bytes at the end of a block where a cut is looked for first
# Surrogates stand for bytes that are not UTF-8, or not yet: a character may lack its last bytes.
_SAFE_CUT = regex.compile(r"(?<=\p{L})(?=[^\p{L}\p{Cs}])|(?<=\p{N})(?=\s)")


def encode_many(
    tokenizer: Tokenizer, texts: Iterable[Text], workers: int | None = None
) -> Iterator[np.ndarray]:
    """The ids of each text, in the order given; special tokens in a text are ordinary characters.

    workers: threads; None means what minigrad.get_num_workers says.
    Reads at most two texts per worker ahead of what has been taken.
    """
    workers = workers or get_num_workers()

    def encode(text: Text) -> np.ndarray:
        return tokenizer.encode_array(text, disallowed_special=())

    if workers == 1:
        yield from map(encode, texts)
        return
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for text in texts:
                waiting.append(pool.submit(encode, text))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def encode_stream(
    tokenizer: Tokenizer, stream: BinaryIO, workers: int | None = None
) -> Iterator[np.ndarray]:
    """The ids of one text read from a binary stream, in parts.

    A BPE pattern of the user's own may look any distance ahead: its text is read whole.
    """
    if isinstance(tokenizer, BPETokenizer) and tokenizer.pattern not in PATTERNS:
        return encode_many(tokenizer, [stream.read()], workers)
    return encode_many(tokenizer, blocks(stream), workers)


def blocks(stream: BinaryIO, size: int = _BLOCK) -> Iterator[bytes]:
    """Parts of the text of about `size` bytes, cut where every known pattern cuts.

    A text that has no such place is one block.
    """
    rest = b""
    while data := stream.read(max(size, len(rest))):
        rest += data
        cut = _last_safe_cut(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _last_safe_cut(data: bytes) -> int:
    """Position of the last safe cut, 0 if there is none."""
    for start in (max(0, len(data) - _TAIL), 0):
        tail = to_str(data[start:])
        cut = max((match.start() for match in _SAFE_CUT.finditer(tail)), default=0)
        if cut:
            return start + len(to_bytes(tail[:cut]))
    return 0
