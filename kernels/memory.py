"""Where kernels get their buffers from."""

import threading

import numpy as np

_local = threading.local()


def empty(shape, dtype=np.float32):
    """An uninitialised C-contiguous array."""
    return np.empty(shape, dtype)


def scratch(size):
    """float32 (size,), uninitialised: the calling thread's until its next call of scratch.

    For what a kernel needs during one call only. It is the same memory each time, so it is warm.
    """
    held = getattr(_local, "scratch", None)
    if held is None or held.size < size:
        held = _local.scratch = empty(max(size, 1 << 16))
    return held[:size]
