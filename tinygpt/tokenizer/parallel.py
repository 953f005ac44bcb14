"""Encoding more text than memory holds, on every core, in order.

cffi releases the interpreter's lock while C encodes, so plain threads are enough: each takes the
next block of text and has its own cache of words. A few blocks are in flight at a time, so memory
stays at some tens of megabytes however long the text is.

A long text is cut into blocks only where its pattern always cuts, whatever stands on either side:
`Automaton.safe_cuts` knows these places (after a letter that no letter follows, say, but not in
white space, where patterns look ahead). So the ids are those of the text in one go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np

from minigrad import get_num_workers
from tinygpt.tokenizer.base import Text, Tokenizer
from tinygpt.tokenizer.pretokenize import automaton, to_bytes, to_str
from tinygpt.tokenizer.sentencepiece import SentencePieceTokenizer

_BLOCK = 4 << 20  # bytes
_TAIL = 4096  # bytes at the end of a block where a cut is looked for first


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

    A BPE pattern that `regex` runs may look any distance ahead: its text is read whole.
    """
    return encode_many(tokenizer, parts(tokenizer, stream), workers)


def parts(tokenizer: Tokenizer, stream: BinaryIO) -> Iterable[bytes]:
    """The text in parts that the tokenizer cuts as it cuts the whole.

    One of SentencePiece's puts a space before each text that it is given: its text is read whole.
    """
    pattern = getattr(tokenizer, "pattern", "gpt2")
    if isinstance(tokenizer, SentencePieceTokenizer) or automaton(pattern) is None:
        return [stream.read()]
    return blocks(stream, pattern)


def blocks(stream: BinaryIO, pattern: str, size: int = _BLOCK) -> Iterator[bytes]:
    """Parts of the text of about `size` bytes, cut where a pattern that has a table always cuts.

    A text that has no such place is one block.
    """
    rest = b""
    while data := stream.read(max(size, len(rest))):
        rest += data
        cut = _last_safe_cut(rest, pattern)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _last_safe_cut(data: bytes, pattern: str) -> int:
    """Position of the last safe cut, 0 if there is none."""
    table = automaton(pattern)
    if table is None:
        raise ValueError(f"{pattern!r} has no table, so that nothing is known of where it cuts")
    for start in (max(0, len(data) - _TAIL), 0):
        tail = to_str(data[start:])
        points = np.frombuffer(tail.encode("utf-32-le", "surrogatepass"), "<u4")
        classes = table.classes[points]
        safe = table.safe_cuts[classes[:-1], classes[1:]]
        # A surrogate is a byte that is not UTF-8, or not yet: a character may lack its last bytes.
        whole = (points < 0xD800) | (points > 0xDFFF)
        cuts = np.flatnonzero(safe & whole[:-1] & whole[1:])
        if len(cuts):
            return start + len(to_bytes(tail[: cuts[-1] + 1]))
    return 0
