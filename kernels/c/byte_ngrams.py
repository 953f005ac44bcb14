"""The Python side of byte_ngrams.c: check, allocate, call."""

import numpy as np

from kernels import checks
from kernels.c import library

_UINT8, _INT32, _UINT32, _FLOAT = (
    library.ffi.typeof(f"{name}[]") for name in ("uint8_t", "int32_t", "uint32_t", "float")
)
_TABLE, _IDS = library.ffi.typeof("int32_t *"), library.ffi.typeof("uint32_t *")


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
    room = _room(text, most, buckets)
    ids, counts = np.empty(room, np.uint32), np.empty(room, np.int32)
    from_buffer = library.ffi.from_buffer
    found = library.lib.byte_ngram_counts(
        from_buffer(_UINT8, text), len(text), min(most, len(text)), buckets,
        library.ffi.cast(_TABLE, library.scratch(buckets)), from_buffer(_UINT32, ids),
        from_buffer(_INT32, counts),
    )
    return ids[:found], counts[:found]


def byte_ngram_logits(text, most, weight, bias):
    """As numpy_ref.byte_ngram_logits."""
    checks.byte_ngram_logits(text, most, weight, bias)
    text, weight = checks.in_a_row(text), checks.in_a_row(weight)
    buckets, classes = weight.shape
    scratch = library.scratch(buckets + _room(text, most, buckets))
    logits = bias.copy()
    from_buffer, cast = library.ffi.from_buffer, library.ffi.cast
    library.lib.byte_ngram_logits(
        from_buffer(_UINT8, text), len(text), min(most, len(text)), buckets,
        from_buffer(_FLOAT, weight), classes, cast(_TABLE, scratch),
        cast(_IDS, scratch + buckets), from_buffer(_FLOAT, logits),
    )
    return logits


def byte_ngrams_known(text, n, known):
    """As numpy_ref.byte_ngrams_known."""
    checks.byte_ngrams_known(text, n, known)
    text, known = checks.in_a_row(text), checks.in_a_row(known)
    return library.lib.byte_ngrams_known(
        library.ffi.from_buffer(_UINT8, text), len(text), min(n, len(text) + 1),
        library.ffi.from_buffer(_UINT8, known), len(known),
    )


def _room(text, most, buckets):
    """How many buckets can be found."""
    return min(buckets, min(most, len(text)) * len(text))
