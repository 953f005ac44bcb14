"""exp in float32, written so that LLVM can vectorise its callers.

`math.exp` in a Numba loop is a call into the C library for each element, 1.9 ns. This is plain
arithmetic: inlined into a loop over an array it runs eight or sixteen elements at a time, 0.2 ns
each. Every constant is a float32, because Numba takes a Python float for a float64.

Also written in: c/simd_math.h.
"""

import numpy as np

from kernels.numba_jit.jit import inline

ONE = np.float32(1)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693145751953125)  # 12 zero bits at its end: n * LN2_HIGH is exact
LN2_LOW = np.float32(1.4286068203094172e-06)  # ln 2 - LN2_HIGH
ROUND = np.float32(1.5 * 2**23)  # adding it rounds to an integer, left in the low bits
LOWEST = np.float32(-87.33654)  # exp(LOWEST) is the smallest normal float32
HIGHEST = np.float32(88.72283)  # exp(HIGHEST) is just below the largest float32
INFINITY = np.float32(np.inf)
ZERO = np.float32(0)

# exp(r) = 1 + r + r^2 (E2 + E3 r + ... + E6 r^4) on |r| <= ln(2)/2: relative error 3.8e-9, a
# minimax fit by iteratively reweighted least squares.
E2, E3 = np.float32(0.49999994), np.float32(0.16666521)
E4, E5, E6 = np.float32(0.04166839), np.float32(0.008368717), np.float32(0.0013814599)


LOW_31 = np.int32(0x7FFFFFFF)
MINUS_INFINITY_KEY = np.int32(-0x7F800001)  # what _key makes of the bits of -inf


@inline
def exp(x):
    """e^x for a float32, within 1e-7 relative; 0 below -87.33, inf above 88.72, nan for nan.

    exp(x) = 2^n exp(r) with n = round(x / ln 2): n goes straight into the exponent's bits.
    """
    z = min(max(x, LOWEST), HIGHEST)
    shifted = z * LOG2_E + ROUND
    n = shifted - ROUND
    r = (z - n * LN2_HIGH) - n * LN2_LOW
    p = ((((E6 * r + E5) * r + E4) * r + E3) * r + E2) * (r * r) + r + ONE
    bits = np.float32(p).view(np.int32) + (np.float32(shifted).view(np.int32) << 23)
    y = np.int32(bits).view(np.float32)
    y = y if x >= LOWEST else ZERO
    y = y if x <= HIGHEST else INFINITY
    return y if x == x else x


@inline
def row_max(x):
    """The largest of a row of float32, -inf if it is empty; a nan may win or be passed over.

    LLVM will not vectorise a maximum of floats (nan has no order), but one of integers it does:
    with the lower bits of negative numbers flipped, floats and their bits sort alike.
    """
    best = MINUS_INFINITY_KEY
    for i in range(x.size):
        best = max(best, _key(np.float32(x[i]).view(np.int32)))
    return np.int32(_key(best)).view(np.float32)


@inline
def _key(bits):
    return np.int32(bits ^ ((bits >> np.int32(31)) & LOW_31))
