"""The Python side of dropout.c: check, allocate, call."""

from kernels import checks, contracts, memory
from kernels.c import library
from kernels.c.library import pointer


def dropout_forward(x, p, key):
    """As numpy_ref.dropout_forward, float32."""
    key = checks.dropout(p, key)
    (x,), _ = contracts.dropout.ready(x)
    y = memory.empty(x.shape)
    threshold = min(int(p * 2.0**32), 2**32 - 1)
    library.lib.dropout_forward(
        pointer(x), pointer(y), x.size, key & 0xFFFFFFFF, key >> 32, threshold, 1 / (1 - p)
    )
    return y


def dropout_backward(dy, p, key):
    """As numpy_ref.dropout_backward, float32: the same mask and scale, applied to dy."""
    return dropout_forward(dy, p, key)
