"""The Python side of matmul_nf4.c: check, allocate, call."""

import numpy as np

from kernels import memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null
from kernels.c.matmul_int8 import buffer, ready
from kernels.packing import GROUP, NF4_LEVELS, Packed


def linear_nf4_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_nf4_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("nf4", x, weight, bias, residual)
    y = memory.empty((*x.shape[:-1], N))
    missing = -K % GROUP["nf4"]
    if missing:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
    library.lib.linear_nf4_forward(
        pointer(x), buffer("uint8_t", weight.codes), pointer(weight.scale), pointer(NF4_LEVELS),
        pointer_or_null(bias), pointer_or_null(residual), pointer(y), rows, N, K + missing,
    )
    return y
