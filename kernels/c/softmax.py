"""The Python side of softmax.c: check, allocate, call."""

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, pointer


def softmax_forward(x):
    """As numpy_ref.softmax_forward, float32."""
    x = contiguous("softmax", x)
    y = memory.empty(x.shape)
    if x.size:
        columns = x.shape[-1]
        library.lib.softmax_forward(pointer(x), pointer(y), x.size // columns, columns)
    return y


def softmax_backward(dy, y):
    """As numpy_ref.softmax_backward, float32."""
    checks.same_shape("softmax", dy=dy, y=y)
    dy, y = contiguous("softmax", dy), contiguous("softmax", y)
    dx = memory.empty(y.shape)
    if y.size:
        columns = y.shape[-1]
        rows = y.size // columns
        library.lib.softmax_backward(pointer(dy), pointer(y), pointer(dx), rows, columns)
    return dx
