"""The dense layer on q8_0 weights: blocks of 32 bytes with a scale, as GGUF's Q8_0.

    y_n = sum_g s_g d_ng (sum_{k in g} c_nk q_k - 128 sum_{k in g} q_k),   c in 0..255, q int8

Files of 4-bit weights keep the table of tokens so, for it is read as rows and as the head. The
codes are unsigned as the instructions for bytes like them; the 128 comes off once for each block.

x is rounded as matmul_q4_1.py says.  Also written in: numba_jit/matmul_q8_0.py, c/matmul_q8_0.c.
"""

from kernels.numpy_ref.matmul_int8 import check, finish
from kernels.numpy_ref.matmul_q4_1 import round_blocks
from kernels.packing import GROUP, Packed, dequantize


def linear_q8_0_forward(x, weight: Packed, bias=None, residual=None):
    """x W^T + bias + residual with q8_0 weights and int8 activations.

    x: (..., K) float; weight: Packed q8_0 (N, K); the rest as linear_int8_forward.
    Returns y (..., N) of x's dtype.
    """
    check("q8_0", x, weight, bias, residual)
    y = round_blocks(x, GROUP["q8_0"]) @ dequantize(weight).T.astype(x.dtype)
    return finish(y, bias, residual)
