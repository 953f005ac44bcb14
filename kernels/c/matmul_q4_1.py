"""The Python side of matmul_q4_1.c and matmul_q8_0.c: check, allocate, call."""

from kernels import memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null
from kernels.c.matmul_int8 import buffer, ready
from kernels.packing import GROUP, Packed


def linear_q4_1_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_q4_1_forward, float32."""
    return linear_blocks("q4_1", library.lib.linear_q4_1_forward, x, weight, bias, residual)


def linear_blocks(scheme: str, call, x, weight: Packed, bias, residual):
    """A layer on blocks of 32; call: its C function."""
    (x, bias, residual), (rows, K, N) = ready(scheme, x, weight, bias, residual)
    y = memory.empty((*x.shape[:-1], N))
    blocks = rows * -(-K // GROUP[scheme])
    scratch = memory.empty((blocks * (2 + GROUP[scheme] // 2),))  # scale, sum, two bytes a number
    call(
        pointer(x), buffer("uint8_t", weight.codes), buffer("uint16_t", weight.scale),
        pointer_or_null(bias), pointer_or_null(residual), pointer(y), rows, N, K, pointer(scratch),
    )
    return y
