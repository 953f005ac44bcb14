"""The dense layer on int4 weights: groups of 32 weights share a scale.

    y_n = s_x sum_g s_ng sum_{k in g} (c_nk - 8) q_k,    c in 0..15, q the int8 activations

Half a byte and a 32nd of a scale each: a weight costs 5 bits of memory (4.5 in the file). The inner
sum is an exact integer: the codes are unsigned as `vpdpbusd` likes it, so the 8 comes off once per
group as 8 sum_k q_k, and `vpmaddubsw` cannot saturate here: 2 * 15 * 127 = 3810.

Also written in: numba_jit/matmul_int4.py, c/matmul_int4.c.
"""

import numpy as np

from kernels.numpy_ref.matmul_int8 import check, finish, quantize_rows
from kernels.packing import Packed, dequantize


def linear_int4_forward(x, weight: Packed, bias=None, residual=None):
    """x W^T + bias + residual with int4 weights and int8 activations.

    x: (..., K) float; weight: Packed int4 (N, K); the rest as linear_int8_forward.
    Returns y (..., N) of x's dtype.
    """
    check("int4", x, weight, bias, residual)
    q, x_scale = quantize_rows(x)
    y = (q.astype(x.dtype) @ dequantize(weight).T.astype(x.dtype)) * x_scale[..., None]
    return finish(y.astype(x.dtype), bias, residual)


def int4_codes(w: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Nearest codes of w / scale: round to -8..7 and add 8.  Both of one shape; returns uint8."""
    safe = np.where(scale == 0, 1, scale)
    return (np.clip(np.rint(w / safe), -8, 7) + 8).astype(np.uint8)
