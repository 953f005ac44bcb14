"""The dense layer on q4_1 weights: blocks of 32 with a step and a minimum, as GGUF's Q4_1.

    y_n = sum_g s_g (d_ng sum_{k in g} c_nk q_k + m_ng sum_{k in g} q_k),   c in 0..15, q int8

Both sums are exact integers, and the second is x's alone: made once for each block of x, it serves
all outputs. So a minimum costs a multiplication for 32 weights.

x is rounded in blocks of 32 too, each with its own scale s_g, where int8 and int4 have one for a
whole row. Models of this form are other people's, and larger ones have channels a thousand times
the size of their neighbours: a scale for the row would round most of it to zero.
Source: Dettmers et al. 2022 (LLM.int8(), section 4: where such channels come from).

Also written in: numba_jit/matmul_q4_1.py, c/matmul_q4_1.c.  Read next: matmul_q8_0.py.
"""

import numpy as np

from kernels.numpy_ref.matmul_int8 import check, finish, quantize_rows
from kernels.packing import GROUP, Packed, dequantize


def linear_q4_1_forward(x, weight: Packed, bias=None, residual=None):
    """x W^T + bias + residual with q4_1 weights and int8 activations.

    x: (..., K) float; weight: Packed q4_1 (N, K); the rest as linear_int8_forward.
    Returns y (..., N) of x's dtype.
    """
    check("q4_1", x, weight, bias, residual)
    y = round_blocks(x, GROUP["q4_1"]) @ dequantize(weight).T.astype(x.dtype)
    return finish(y, bias, residual)


def round_blocks(x, size: int):
    """x (..., K) with each block of `size` numbers rounded to 255 steps of its own scale."""
    K = x.shape[-1]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -K % size)])
    blocks = padded.reshape(*x.shape[:-1], padded.shape[-1] // size, size)
    q, scale = quantize_rows(blocks)  # (..., G, size), (..., G)
    return (q * scale[..., None]).astype(x.dtype).reshape(padded.shape)[..., :K]
