"""The dense layer on NF4 weights: 4-bit codes of levels that suit a normal distribution.

    y_n = sum_g s_ng sum_{k in g} LEVEL[c_nk] x_k

The levels are not evenly spaced, so there is no integer arithmetic: codes are looked up and
activations stay float. That is what QLoRA (Dettmers et al. 2023) trains adapters on.

Also written in: numba_jit/matmul_nf4.py, c/matmul_nf4.c.
"""

import numpy as np

from kernels.numpy_ref.matmul_int8 import check, finish
from kernels.packing import NF4_LEVELS, Packed, dequantize


def linear_nf4_forward(x, weight: Packed, bias=None, residual=None):
    """x W^T + bias + residual with NF4 weights.

    x: (..., K) float; weight: Packed nf4 (N, K); the rest as linear_int8_forward.
    Returns y (..., N) of x's dtype.
    """
    check("nf4", x, weight, bias, residual)
    y = x @ dequantize(weight).T.astype(x.dtype)
    return finish(y, bias, residual)


def nf4_codes(w: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Nearest levels of w / scale, |w| <= scale.  Both of one shape; returns uint8."""
    safe = np.where(scale == 0, 1, scale)
    middles = (NF4_LEVELS[1:] + NF4_LEVELS[:-1]) / 2
    codes = np.searchsorted(middles, w / safe).astype(np.uint8)
    return np.where(scale == 0, np.uint8(7), codes)
