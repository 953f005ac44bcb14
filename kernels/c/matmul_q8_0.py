"""The Python side of matmul_q8_0.c."""

from kernels.c import library
from kernels.c.matmul_q4_1 import linear_blocks
from kernels.packing import Packed


def linear_q8_0_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_q8_0_forward, float32."""
    return linear_blocks("q8_0", library.lib.linear_q8_0_forward, x, weight, bias, residual)
