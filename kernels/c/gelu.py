"""The Python side of gelu.c: check, allocate, call."""

from kernels import contracts, memory
from kernels.c import library
from kernels.c.library import pointer


def gelu_forward(x):
    """As numpy_ref.gelu_forward, float32."""
    (x,), _ = contracts.gelu_forward.ready(x)
    y = memory.empty(x.shape)
    library.lib.gelu_forward(pointer(x), pointer(y), x.size)
    return y


def gelu_backward(dy, x):
    """As numpy_ref.gelu_backward, float32."""
    (dy, x), _ = contracts.gelu_backward.ready(dy, x)
    dx = memory.empty(x.shape)
    library.lib.gelu_backward(pointer(dy), pointer(x), pointer(dx), x.size)
    return dx
