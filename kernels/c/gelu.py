"""The Python side of gelu.c: check, allocate, call."""

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, pointer


def gelu_forward(x):
    """As numpy_ref.gelu_forward, float32."""
    x = contiguous("gelu", x)
    y = memory.empty(x.shape)
    library.lib.gelu_forward(pointer(x), pointer(y), x.size)
    return y


def gelu_backward(dy, x):
    """As numpy_ref.gelu_backward, float32."""
    checks.same_shape("gelu", dy=dy, x=x)
    dy, x = contiguous("gelu", dy), contiguous("gelu", x)
    dx = memory.empty(x.shape)
    library.lib.gelu_backward(pointer(dy), pointer(x), pointer(dx), x.size)
    return dx
