"""Token ids and class targets on their way into C: checked there, in one pass, as int64."""

import numpy as np

from kernels import checks
from kernels.c import library

_INT64 = library.ffi.typeof("int64_t[]")


def checked(op, ids, size):
    """Integers as C-contiguous int64, all within [0, size).

    Raises IndexError naming the first id outside.
    """
    wide = checks.int64(ids)
    if library.lib.find_bad_id(pointer(wide), wide.size, size) >= 0:
        checks.ids(op, ids, size)
    return wide


def checked_targets(op, targets, size, ignore_index):
    """(targets as int64 with -1 where they equal ignore_index, how many do not)."""
    if ignore_index is None:
        return checked(op, targets, size), len(targets)
    checks.ids(op, targets, size, ignore_index)
    counted = targets != ignore_index
    return np.where(counted, targets, -1).astype(np.int64), int(counted.sum())


def pointer(ids):
    """`int64_t *` to a C-contiguous int64 array."""
    return library.ffi.from_buffer(_INT64, ids)


def pointer_or_null(ids):
    """`pointer`, or NULL for None."""
    return library.ffi.NULL if ids is None else pointer(ids)
