"""Stage 1 of training: how often each distinct pre-token occurs, in text of any length.

A gigabyte of text repeats its words: some hundred thousand distinct pre-tokens carry all that
training needs. They are counted as the text streams by, in C where it was built.

With a limit on memory, a table that would outgrow it is written to disk as a run, sorted, and
counting starts anew. If there are runs, or if the index that training keeps would not fit, the runs
are added up into one file of words and training works on that (c/tape.c): slower, the same merges.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from typing import BinaryIO

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.base import Text
from tinygpt.tokenizer.bpe import BYTE_IDS
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.pretokenize import automaton, pattern_name, pattern_text, split, to_bytes

_CHUNK = 4 << 20  # bytes read at once
_PROGRAM = 100 << 20  # bytes: a guess at what the program takes, where nobody can say
_RESERVE = 24 << 20  # bytes: text in flight, and what the program grows by while it works
_LEAST = 16 << 20  # bytes of table below which a limit makes no sense


class WordCounts:
    """Distinct pre-tokens and how often each occurs.

    pattern: "gpt2", "cl100k", "llama3", "o200k" or a regular expression.
    max_memory: bytes that the whole process may hold; None means no limit.
    Use it in a with block: it may leave temporary files, which the block's end removes.
    Raises TokenizerError for a limit too small, RuntimeError for a limit without C.
    """

    def __init__(self, pattern: str = "cl100k", max_memory: int | None = None):
        self.pattern = pattern_name(pattern_text(pattern))
        self._counter = compiled.Counter(self.pattern) if compiled.available() else None
        self._counts: dict[bytes, int] = defaultdict(int)
        self._budget = 0  # bytes for tables; 0 means no limit
        self._folder: str | None = None
        self._runs: list[str] = []
        self._distinct: int | None = None
        if max_memory is not None:
            self._set_limit(max_memory)

    def _set_limit(self, max_memory: int) -> None:
        if self._counter is None:
            raise RuntimeError(f"a limit on memory needs the C extension: {compiled.mend()}")
        from tinygpt.machine.memory import resident_bytes  # it takes minigrad, only for this

        taken = (resident_bytes() or _PROGRAM) + _RESERVE
        if max_memory < taken + _LEAST:
            raise TokenizerError(
                f"a limit of {max_memory / 1e6:.0f} MB is too small: the program itself takes "
                f"{taken / 1e6:.0f} MB. Allow at least {(taken + _LEAST) / 1e6:.0f} MB."
            )
        self._budget = max_memory - taken

    def __enter__(self) -> WordCounts:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def spilled(self) -> bool:
        """Did some words go to disk?"""
        return bool(self._runs)

    def __len__(self) -> int:
        """Distinct words; while some are on disk, those in memory until `trainer` adds them up."""
        if self._distinct is not None:
            return self._distinct
        return len(self._counts) if self._counter is None else len(self._counter)

    def __bool__(self) -> bool:
        return len(self) > 0 or self.spilled

    def add(self, text: Text) -> None:
        """Count the pre-tokens of one document."""
        if self._counter is None:
            for piece in split(text, self.pattern):
                self._counts[piece] += 1
            return
        self._add_bytes(self._counter, to_bytes(text), is_last=True)

    def add_stream(self, stream: BinaryIO) -> None:
        """Count the pre-tokens of one document read piece by piece.

        The cuts are those of the whole document. A pattern that `regex` runs may look any distance
        ahead, so under one (and without C) the document is read whole.
        """
        if self._counter is None or automaton(self.pattern) is None:
            self.add(stream.read())
            return
        rest = b""
        while chunk := stream.read(max(_CHUNK, len(rest))):
            rest = self._add_bytes(self._counter, rest + chunk, is_last=False)
        self._add_bytes(self._counter, rest, is_last=True)

    def _add_bytes(self, counter: compiled.Counter, data: bytes, is_last: bool) -> bytes:
        """Count `data`, writing runs as the limit demands; returns what more text could change."""
        while True:
            taken = counter.add(data, is_last, self._budget)
            data = data[taken:]
            if not data or not counter.is_full:
                return data
            self._spill(counter)

    def _spill(self, counter: compiled.Counter) -> None:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="tinygpt-words-")
        path = os.path.join(self._folder, f"run{len(self._runs)}")
        try:
            counter.spill(path)
        except OSError:
            raise self._disk_error() from None
        self._runs.append(path)

    def _disk_error(self) -> TokenizerError:
        return TokenizerError(
            f"cannot write the words to {self._folder}. Make room there, or set TMPDIR to a folder "
            "on a larger disk."
        )

    def items(self) -> Iterable[tuple[bytes, int]]:
        """Each distinct pre-token in memory with its count."""
        return self._counts.items() if self._counter is None else self._counter.items()

    def trainer(self) -> compiled.MergeTrainer | compiled.TapeTrainer:
        """The compiled trainer over these words, in memory or on disk.  Call it once."""
        if self._counter is None:
            raise RuntimeError("these words were counted without C")
        too_large = self._budget and self._index_bytes(self._counter) > self._budget
        if not self._runs and not too_large:
            return compiled.MergeTrainer(self._counter, BYTE_IDS)
        self._spill(self._counter)
        self._counter = compiled.Counter(self.pattern)  # gives the old table's memory back
        try:
            tape = compiled.TapeTrainer(self._runs, str(self._folder), BYTE_IDS, self._budget)
        except OSError:
            raise self._disk_error() from None
        except MemoryError:
            raise TokenizerError(
                "the limit on memory is too small for the counts of this text's pairs. Allow more."
            ) from None
        self._distinct = tape.n_words
        return tape

    @staticmethod
    def _index_bytes(counter: compiled.Counter) -> int:
        """What MergeTrainer holds at its peak, roughly from above, and the words beside it."""
        words, text = len(counter), counter.text_size
        # Symbols 4 a byte; lists 8, three times when they grow; see c/train.c. Tables of pairs.
        return counter.memory + 28 * text + 40 * words + (32 << 20)
