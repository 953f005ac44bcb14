"""The Python side of matmul_int4.c: check, allocate, call."""

from kernels import memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null
from kernels.c.matmul_int8 import buffer, ready
from kernels.packing import GROUP, Packed


def linear_int4_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_int4_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("int4", x, weight, bias, residual)
    y = memory.empty((*x.shape[:-1], N))
    groups = -(-K // GROUP["int4"])
    scratch = memory.empty((rows * (1 + groups + groups * GROUP["int4"] // 4),))
    library.lib.linear_int4_forward(
        pointer(x), buffer("uint8_t", weight.codes), pointer(weight.scale),
        pointer_or_null(bias), pointer_or_null(residual), pointer(y), rows, N, K, pointer(scratch),
    )
    return y
