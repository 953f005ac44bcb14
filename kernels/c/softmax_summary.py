"""The Python side of softmax_summary.c: check, allocate, call."""

import numpy as np

from kernels import checks, contracts
from kernels.c import ids as token_ids
from kernels.c import library
from kernels.c.library import pointer

_DOUBLES = library.ffi.typeof("double[]")


def softmax_summary(logits, ids, k):
    """As numpy_ref.softmax_summary, float32; sums in float64."""
    (logits, ids), (rows, size) = contracts.softmax_summary.ready(logits, ids)
    ids = token_ids.checked("softmax_summary", ids, size)
    checks.top(k, size)
    top, before = np.empty((rows, k), np.int64), np.empty(rows, np.int64)
    lse, entropy = np.empty((2, rows))
    library.lib.softmax_summary(
        pointer(logits), token_ids.pointer(ids), token_ids.pointer(top),
        library.ffi.from_buffer(_DOUBLES, lse), library.ffi.from_buffer(_DOUBLES, entropy),
        token_ids.pointer(before), rows, size, k,
    )
    return top, lse, entropy, before
