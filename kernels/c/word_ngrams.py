"""The Python side of word_ngrams.c: check, allocate, call."""

import numpy as np

from kernels import checks
from kernels.c import library

_UINT8, _INT32, _UINT32, _INT64, _UINT64 = (
    library.ffi.typeof(f"{name}_t[]") for name in ("uint8", "int32", "uint32", "int64", "uint64")
)


def split_words(text, kinds, every):
    """As numpy_ref.split_words."""
    checks.words(text, kinds)
    text, kinds = checks.in_a_row(text), checks.in_a_row(kinds)
    room = len(text) if every else len(text) // 2 + 1
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    counts = np.empty(3, np.int64)
    from_buffer = library.ffi.from_buffer
    words = library.lib.split_words(
        from_buffer(_UINT32, text), len(text), from_buffer(_UINT8, kinds), len(kinds), bool(every),
        from_buffer(_UINT64, hashes), from_buffer(_INT64, lengths), from_buffer(_INT64, counts),
    )
    return hashes[:words], lengths[:words], counts


def repeated_ngrams(words, lengths, most):
    """As numpy_ref.repeated_ngrams."""
    checks.ngrams(words, lengths, most)
    words, lengths = checks.in_a_row(words), checks.in_a_row(lengths)
    found = np.zeros((most - 1, 3), np.int64)
    numbers, keys = np.empty(4 * len(words), np.int32), np.empty(len(words), np.uint64)
    slots = np.empty(max(16, 1 << (2 * len(words)).bit_length()), np.int32)
    from_buffer = library.ffi.from_buffer
    library.lib.repeated_ngrams(
        from_buffer(_UINT64, words), from_buffer(_INT64, lengths), len(words), most,
        from_buffer(_INT64, found), from_buffer(_INT32, numbers), from_buffer(_INT32, slots),
        from_buffer(_UINT64, keys),
    )
    return found
