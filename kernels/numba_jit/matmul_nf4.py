"""The dense layer on NF4 weights in Numba: the loop of matmul_int4.py, sums in float.

What it means: numpy_ref/matmul_nf4.py.  Also written in: c/matmul_nf4.c.
"""

from kernels.numba_jit.matmul_int4 import linear_4bit
from kernels.numba_jit.matmul_int8 import ready
from kernels.numpy_ref.matmul_int8 import finish
from kernels.packing import NF4_LEVELS, Packed


def linear_nf4_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_nf4_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("nf4", x, weight, bias, residual)
    y = linear_4bit(x.reshape(rows, K), weight, NF4_LEVELS)
    return finish(y.reshape(*x.shape[:-1], N), bias, residual)
