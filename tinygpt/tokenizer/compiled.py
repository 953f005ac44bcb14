"""The C of c/ as three Python objects; where it was not built, bpe.py and trainer.py do the work.

    TINYGPT_TOKENIZER=c|python|auto   forces a choice; "auto" (default) takes C when it is there.

cffi releases the interpreter's lock during every call, so threads encode and count in parallel;
each thread needs its own Counter, and each gets its own cache from the Encoder.
"""

from __future__ import annotations

import importlib
import math
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tinygpt.tokenizer.automaton import Automaton
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.pretokenize import PATTERNS, automaton, piece_ends

LATE_TOKEN = (
    "the token {!r} is made of tokens of a higher rank, which no list of merges can say. Put it "
    "behind them in the file."
)


def available() -> bool:
    """Is the C in use?  Raises RuntimeError when it was asked for by name and is not there."""
    return _module() is not None


def what_runs() -> str:
    """Which implementation runs, and why, in one line for `tinygpt doctor`."""
    if _module() is not None:
        return "C (tinygpt.tokenizer.c)"
    if _wanted() == "python":
        return "Python, because TINYGPT_TOKENIZER=python"
    return f"Python, some fifty times slower: the C extension was not built; {mend()}"


def mend() -> str:
    """What would bring the C here, as it is true of this machine."""
    from minigrad import how_to_get_c  # only for these words: whoever encodes needs no autograd

    if _wanted() == "python":
        return "`unset TINYGPT_TOKENIZER`, which asks for Python"
    return how_to_get_c("tinygpt/tokenizer/c/_tokenizer")


def _wanted() -> str:
    wanted = os.environ.get("TINYGPT_TOKENIZER") or "auto"
    if wanted not in ("auto", "c", "python"):
        raise ValueError(f"TINYGPT_TOKENIZER={wanted!r} is not one of auto, c, python")
    return wanted


def _module() -> Any:
    wanted = _wanted()
    if wanted == "python":
        return None
    try:
        return importlib.import_module("tinygpt.tokenizer.c._tokenizer")
    except ImportError as error:
        if wanted == "c":
            raise RuntimeError(f"TINYGPT_TOKENIZER=c, but it was not built; {mend()}") from error
        return None


class _Native:
    """Owner of one C object."""

    def __init__(self) -> None:
        module = _module()
        if module is None:
            raise RuntimeError(f"the tokenizer's C extension is not here; {mend()}")
        self._ffi, self._lib = module.ffi, module.lib

    def _own(self, pointer: Any, free: Any) -> Any:
        if pointer == self._ffi.NULL:
            raise MemoryError("no memory left for the tokenizer")
        return self._ffi.gc(pointer, free)

    def _view(self, kind: str, array: Any) -> Any:
        return self._ffi.from_buffer(kind, array)


class Scanner(_Native):
    """The cuts of a pattern that has a table, which `Scanner.of` gives, or None."""

    def __init__(self, table: Automaton):
        super().__init__()
        self._classes = np.ascontiguousarray(table.classes)
        rows = np.hstack([table.table[:, table.classes[:128]], table.table]).astype(np.int64)
        width = rows.shape[1]
        self._table = (rows * width).astype(np.uint16)  # in C a state is the offset of its row
        states = {"start": table.start, "back": table.back, "accepting": table.accepting}
        self.pointer = self._ffi.new("scanner *", {
            "classes": self._view("uint8_t[]", self._classes),
            "table": self._view("uint16_t[]", self._table),
            "width": width,
            **{name: number * width for name, number in states.items()},
        })

    @classmethod
    def of(cls, pattern: str) -> Scanner | None:
        """The scanner of a pattern, None when `regex` has to cut."""
        table = automaton(pattern)
        return None if table is None else cls(table)

    def ends(self, data: bytes) -> np.ndarray:
        """Where each pre-token of `data` ends, (n,) int64."""
        ends = np.empty(len(data), np.int64)
        count = self._lib.scan_all(
            self.pointer, self._view("uint8_t[]", data), len(data), self._view("int64_t[]", ends)
        )
        return ends[: _check(count)]


class Counter(_Native):
    """How often each distinct pre-token occurs (stage 1 of training)."""

    def __init__(self, pattern: str):
        super().__init__()
        self._pattern = pattern
        self._scanner = Scanner.of(pattern)
        self._words = self._own(self._lib.words_new(), self._lib.words_free)
        self.is_full = False

    def __len__(self) -> int:
        return self._lib.words_size(self._words)

    @property
    def memory(self) -> int:
        """Bytes held."""
        return self._lib.words_memory(self._words)

    def add(self, data: bytes, is_last: bool = True, max_bytes: int = 0) -> int:
        """Count the pre-tokens of `data`; returns how many bytes were taken.

        is_last: nothing follows; else pre-tokens that more text could change are left over.
        max_bytes: stop before the table outgrows it, and set is_full (0: never).
        """
        if self._scanner is None:
            for start, end in _spans(piece_ends(data, self._pattern)):
                self.add_word(data[start:end], 1)
            return len(data)
        full = self._ffi.new("int *")
        taken = self._lib.words_add_text(
            self._words, self._scanner.pointer, self._view("uint8_t[]", data), len(data), is_last,
            max_bytes, full,
        )
        self.is_full = bool(full[0])
        return _check(taken)

    def spill(self, path: str) -> None:
        """Write all words to a run, a file in the order of their hashes, and forget them."""
        _check(self._lib.words_spill(self._words, path.encode()))

    @property
    def text_size(self) -> int:
        """Bytes of all distinct pre-tokens."""
        return self._lib.words_text_size(self._words)

    def add_word(self, word: bytes, count: int) -> None:
        """Add `count` occurrences of one pre-token."""
        _check(self._lib.words_add(self._words, self._view("uint8_t[]", word), len(word), count))

    def items(self) -> list[tuple[bytes, int]]:
        """Every distinct pre-token with its count, in no particular order."""
        text = np.empty(self._lib.words_text_size(self._words), np.uint8)
        ends, counts = np.empty(len(self), np.int64), np.empty(len(self), np.int64)
        self._lib.words_export(
            self._words, self._view("uint8_t[]", text), self._view("int64_t[]", ends),
            self._view("int64_t[]", counts),
        )
        data = text.tobytes()
        words = [data[start:end] for start, end in _spans(ends)]
        return list(zip(words, counts.tolist(), strict=True))


class MergeTrainer(_Native):
    """Stages 2 to 5 of training, over the words of a Counter."""

    def __init__(self, counter: Counter, byte_ids: bytes):
        super().__init__()
        self._trainer = self._own(
            self._lib.trainer_new(counter._words, self._view("uint8_t[]", byte_ids)),
            self._lib.trainer_free,
        )

    def run(self, max_merges: int, min_count: int) -> np.ndarray:
        """Learn up to max_merges more; (n, 2) int32 pairs of ids.  Fewer: there are no more."""
        merges = np.empty((max_merges, 2), np.int32)
        made = self._lib.trainer_run(
            self._trainer, max_merges, min_count, self._view("int32_t[]", merges)
        )
        return merges[: _check(made)]


class TapeTrainer(_Native):
    """Stages 2 to 5 with the words on disk (c/tape.c): the same merges in bounded memory.

    runs: files written by Counter.spill.  folder: for the tape.  max_bytes: for counts of pairs.
    """

    def __init__(self, runs: list[str], folder: str, byte_ids: bytes, max_bytes: int):
        super().__init__()
        path, scratch = (os.path.join(folder, name).encode() for name in ("tape", "scratch"))
        names = [self._ffi.new("char[]", run.encode()) for run in runs]
        self.n_words = _check(
            self._lib.runs_to_tape(len(runs), names, path, self._view("uint8_t[]", byte_ids))
        )
        for run in runs:
            os.unlink(run)
        self._tape = self._own(self._lib.tape_new(path, scratch, max_bytes), self._lib.tape_free)

    def run(self, max_merges: int, min_count: int) -> np.ndarray:
        """As MergeTrainer.run, in as many passes over the tape as it takes."""
        merges = np.empty((max_merges, 2), np.int32)
        made = 0
        while made < max_merges:
            rest = self._view("int32_t[]", merges[made:])
            more = _check(self._lib.tape_run(self._tape, max_merges - made, min_count, rest))
            if not more:
                break
            made += more
        return merges[:made]


class Encoder(_Native):
    """Text to ids.

    Arguments as BPETokenizer's, checked: merges (n, 2) are pairs of ids, merged_ids (n,) what they
    become.
    """

    def __init__(
        self,
        pattern: str,
        byte_ids: Sequence[int],
        merges: np.ndarray,
        merged_ids: np.ndarray,
        whole_words: Mapping[bytes, int],
    ):
        super().__init__()
        self._pattern = pattern
        self._scanner = Scanner.of(pattern)
        encoder = self._lib.encoder_new(
            self._view("int32_t[]", np.array(byte_ids, np.int32)), len(merges),
            self._view("int32_t[]", merges.astype(np.int32)),
            self._view("int32_t[]", merged_ids.astype(np.int32)),
        )
        self._encoder = self._own(encoder, self._lib.encoder_free)
        text, ends, ids = _flat(whole_words, whole_words.values())
        _check(self._lib.encoder_add_whole_words(
            self._encoder, len(ids), self._view("uint8_t[]", text), self._view("int64_t[]", ends),
            self._view("int32_t[]", ids),
        ))
        self._caches = threading.local()

    def _cache(self) -> Any:
        if not hasattr(self._caches, "cache"):
            self._caches.cache = self._own(self._lib.cache_new(), self._lib.cache_free)
        return self._caches.cache

    def encode(self, data: bytes, dtype: np.dtype) -> np.ndarray:
        """The ids of all of `data`, (n,) of dtype uint16 or uint32."""
        if self._scanner is None:
            return self._encode_pieces(data, dtype)
        parts, taken = [], 0
        while taken < len(data):
            ids, more = self._encode_some(self._scanner, memoryview(data)[taken:], dtype)
            parts.append(ids)
            taken += more
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, dtype)

    def _encode_some(
        self, scanner: Scanner, data: memoryview, dtype: np.dtype
    ) -> tuple[np.ndarray, int]:
        """Ids of a first part of `data`, and how many bytes that is.

        Tries with room for one id per 2 bytes, and with room enough if that gets nowhere.
        """
        for room in (len(data) // 2 + 64, len(data)):
            out = np.empty(room, dtype)
            written = self._ffi.new("int64_t *")
            taken = self._lib.encode_text(
                self._encoder, self._cache(), scanner.pointer, self._view("uint8_t[]", data),
                len(data), out.itemsize, self._view("uint8_t[]", out), room, written,
            )
            if _check(taken):
                break
        return out[: written[0]], taken

    def _encode_pieces(self, data: bytes, dtype: np.dtype) -> np.ndarray:
        ends = np.array(piece_ends(data, self._pattern), np.int64)
        out = np.empty(len(data), dtype)
        count = self._lib.encode_pieces(
            self._encoder, self._cache(), self._view("uint8_t[]", data),
            self._view("int64_t[]", ends), len(ends), out.itemsize, self._view("uint8_t[]", out),
        )
        return out[: _check(count)].copy()


class Lattice(_Native):
    """lattice.PythonLattice in C: the same arguments, the same results."""

    def __init__(self, pieces: Sequence[bytes], scores: np.ndarray, ids: np.ndarray):
        super().__init__()
        self._n = int(ids.max()) + 1 if len(ids) else 0
        text, ends, numbers = _flat(pieces, ids)
        self._lattice = self._own(
            self._lib.lattice_new(
                len(pieces), self._view("uint8_t[]", text), self._view("int64_t[]", ends),
                self._view("int32_t[]", numbers),
                self._view("float[]", np.ascontiguousarray(scores, np.float32)),
            ),
            self._lib.lattice_free,
        )

    def best(
        self, text: bytes, ends: np.ndarray, unknown: float | None = None,
        excluded: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As PythonLattice.best."""
        ids, places = np.empty(len(text), np.int32), np.empty(len(text), np.int64)
        scores = np.empty(len(ends), np.float32)
        if excluded is not None:
            excluded = np.ascontiguousarray(excluded, np.int32)
        count = _check(self._lib.lattice_best(
            self._lattice, len(ends), self._view("uint8_t[]", text),
            self._view("int64_t[]", np.ascontiguousarray(ends, np.int64)),
            math.nan if unknown is None else unknown,
            self._ffi.NULL if excluded is None else self._view("int32_t[]", excluded),
            self._view("int32_t[]", ids), self._view("int64_t[]", places),
            self._view("float[]", scores),
        ))
        return ids[:count].copy(), places[:count].copy(), scores

    def expect(
        self, text: bytes, ends: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """As PythonLattice.expect."""
        expected = np.zeros(self._n)
        likelihood = self._lib.lattice_expect(
            self._lattice, len(ends), self._view("uint8_t[]", text),
            self._view("int64_t[]", np.ascontiguousarray(ends, np.int64)),
            self._view("int64_t[]", np.ascontiguousarray(counts, np.int64)),
            self._view("double[]", expected),
        )
        if math.isnan(likelihood):
            raise MemoryError("no memory left for the tokenizer")
        return expected, likelihood


def recover_pairs(tokens: Sequence[bytes], ids: np.ndarray) -> np.ndarray:
    """tiktoken_ranks._recover_pairs in C: which two tokens meet to form each, if any do."""
    module = _module()
    view = module.ffi.from_buffer
    text, ends, numbers = _flat(tokens, ids)
    pairs = np.empty((len(tokens), 2), np.int32)
    late = _check(module.lib.recover_pairs(
        len(tokens), view("uint8_t[]", text), view("int64_t[]", ends), view("int32_t[]", numbers),
        view("int32_t[]", pairs),
    ))
    if late < len(tokens):
        raise TokenizerError(LATE_TOKEN.format(tokens[late][:40]))
    return pairs


def _flat(words: Collection[bytes], ids: Any) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Words one after the other, where each ends, and the ids, all as C takes them."""
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    return b"".join(words), np.cumsum(lengths), np.fromiter(ids, np.int32, len(words))


def _spans(ends: Any) -> list[tuple[int, int]]:
    ends = list(ends)
    return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []


def _check(result: int) -> int:
    if result == -2:
        raise OSError("a temporary file of the tokenizer could not be written or read")
    if result == -3:
        raise TokenizerError(
            "the pattern of this tokenizer reads far ahead in vain, again and again, in this text. "
            f"Use one of {', '.join(PATTERNS)}, or one that looks less far."
        )
    if result < 0:
        raise MemoryError("no memory left for the tokenizer")
    return result
