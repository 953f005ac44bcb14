"""Products of int8 matrices: exact, and the dense layer made of them.

    y = x W^T  ~  s_x s_w (q_x q_w^T),    q integers in [-127, 127], s scales in float32

Weights have one scale per output (row of W), found once; activations one per row, found on the fly.
The sum over k of products of int8 is an int32 and *exact*: |sum| <= K 2^14, below 2^31 for
K < 131072. Every backend and instruction set returns the same integers.

**Error bound.** Rounding moves each q by at most 1/2, so with a = max|x|, b = max|w_n| of the rows:
|w - s_w q_w| <= b/254, |x - s_x q_x| <= a/254, and
    |y - y'| <= (a/254) sum_k |w_k| + (b/254) sum_k |x_k| + K a b / 254^2.

**Why no maddubs.** x86 offers two instructions for bytes. `vpmaddubsw` (AVX2) adds two products
u8 * s8 in *16* bits with saturation: 255 * 127 * 2 = 64770 is returned as 32767, silently wrong.
The AVX2 kernels therefore widen bytes to 16 bits and use `vpmaddwd`, which cannot saturate:
2 * 128 * 128 = 2^15 fits its 32-bit sums. `vpdpbusd` (VNNI) adds four products u8 * s8 in
32 bits, exactly, but wants one side unsigned: it is given x + 128, and
    sum_k (x_k + 128) w_k = sum_k x_k w_k + 128 sum_k w_k,
the last term of which is known when W is packed (`Packed.offset`). The detour may wrap around 2^32;
subtracting the offset wraps back.

Also written in: numba_jit/matmul_int8.py, c/matmul_int8.c.
"""

import numpy as np

from kernels import checks, contracts
from kernels.packing import Packed, unpack_int8

TINY = 1e-30  # below, 1 / scale leaves the range of float32


def quantize_rows(x):
    """x ~ scale q with one scale a row: scale = max|x| / 127, q = round(x / scale), ties to even.

    x: (..., K) float.  Returns (q (..., K) int8, scale (...,) of x's dtype).
    A row of nothing above TINY has scale 0.  Raises TypeError for integers.
    """
    contracts.quantize_rows.check(x)
    peak = np.abs(x).max(axis=-1, initial=0)
    scale = np.where(peak < TINY, 0, peak / x.dtype.type(127)).astype(x.dtype)
    # Times the reciprocal, not divided by the scale, as the fast versions do it: the same integers.
    inverse = np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale)).astype(x.dtype)
    return np.rint(x * inverse[..., None]).astype(np.int8), scale


def matmul_int8(x, weight: Packed):
    """y = x W^T in integers, exactly.

    x: (..., K) int8, all of -128..127 allowed; weight: Packed int8 of shape (N, K).
    Returns (..., N) int32.
    """
    checks.packed("matmul_int8", weight, "int8")
    contracts.matmul_int8.check(x, K=weight.shape[1])
    # float64 holds every integer below 2^53, so this product is exact, and BLAS is fast at it.
    exact = x.astype(np.float64) @ unpack_int8(weight).T.astype(np.float64)
    return exact.astype(np.int32)


def linear_int8_forward(x, weight: Packed, bias=None, residual=None):
    """x W^T + bias + residual with int8 weights and activations.

    x: (..., K) float; bias (N,); residual (..., N).
    Returns y (..., N) of x's dtype.  Nothing is saved: quantized weights are not trained.
    """
    check("int8", x, weight, bias, residual)
    q, x_scale = quantize_rows(x)
    y = matmul_int8(q, weight) * (x_scale[..., None] * weight.scale.astype(x.dtype))
    return finish(y.astype(x.dtype), bias, residual)


def check(scheme, x, weight, bias, residual):
    """Raise unless the arguments of linear_<scheme>_forward fit together."""
    checks.packed(f"linear_{scheme}", weight, scheme)
    N, K = weight.shape
    contracts.linear_packed[scheme].check(x, bias, residual, N=N, K=K)


def finish(y, bias, residual):
    """What follows a product: bias and residual, as `linear` has them."""
    if bias is not None:
        y = y + bias
    return y if residual is None else y + residual
