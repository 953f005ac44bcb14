"""The Python side of byte_ngrams.c: check, allocate, call."""

import numpy as np

from kernels import checks
from kernels.c import library

_UINT8, _INT32, _UINT32 = (
    library.ffi.typeof(f"{name}_t[]") for name in ("uint8", "int32", "uint32")
)


def byte_ngrams(text, n):
    """As numpy_ref.byte_ngrams."""
    checks.byte_ngrams(text, n)
    text = checks.in_a_row(text)
    hashes = np.empty(max(0, len(text) - n + 1), np.uint32)
    if len(hashes):
        library.lib.byte_ngrams(
            library.ffi.from_buffer(_UINT8, text), len(text), n,
            library.ffi.from_buffer(_UINT32, hashes),
        )
    return hashes


def byte_ngram_counts(text, most, buckets):
    """As numpy_ref.byte_ngram_counts."""
    checks.byte_ngrams(text, most, buckets)
    text = checks.in_a_row(text)
    room = min(buckets, min(most, len(text)) * len(text))
    table, ids = np.zeros(buckets, np.int32), np.empty(room, np.uint32)
    counts = np.empty(room, np.int32)
    from_buffer = library.ffi.from_buffer
    found = library.lib.byte_ngram_counts(
        from_buffer(_UINT8, text), len(text), min(most, len(text)), buckets,
        from_buffer(_INT32, table), from_buffer(_UINT32, ids), from_buffer(_INT32, counts),
    )
    return ids[:found], counts[:found]
