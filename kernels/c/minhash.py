"""The Python side of minhash.c: check, allocate, call."""

import numpy as np

from kernels import checks
from kernels.c import library

_UINT8, _UINT32, _UINT64 = (library.ffi.typeof(f"uint{bits}_t[]") for bits in (8, 32, 64))


def shingle_hashes(text, n):
    """As numpy_ref.shingle_hashes."""
    checks.shingles(text, n)
    text = checks.in_a_row(text)
    hashes, words = np.empty((2, len(text) // 2 + 1), np.uint64)
    count = library.lib.shingle_hashes(
        library.ffi.from_buffer(_UINT8, text), len(text), min(n, 2**62), _pointer(hashes),
        _pointer(words),
    )
    return hashes[:count]


def minhash_signature(hashes, factors, offsets):
    """As numpy_ref.minhash_signature."""
    checks.minhash(hashes, factors, offsets)
    hashes, factors, offsets = map(checks.in_a_row, (hashes, factors, offsets))
    signature = np.empty(len(factors), np.uint32)
    library.lib.minhash_signature(
        _pointer(hashes), len(hashes), _pointer(factors), _pointer(offsets),
        library.ffi.from_buffer(_UINT32, signature), len(signature),
    )
    return signature


def _pointer(array):
    return library.ffi.from_buffer(_UINT64, array)
