"""AdamW on moments of one byte a value, one pass; derived in numpy_ref/adamw8bit.py.

Also written in: c/adamw8bit.c.
"""

import numpy as np

from kernels import contracts
from kernels.numba_jit.jit import inline, parallel, prange
from kernels.numba_jit.vector_math import row_max
from kernels.numpy_ref import adamw8bit as reference
from kernels.numpy_ref.adamw import factors

BLOCK = reference.BLOCK
BLOCKS = 16  # that one iteration of the parallel loop takes, with one pair of buffers
GOLDEN, ROOT2 = np.uint64(reference.GOLDEN), reference.ROOT2
TINY, ONE, HALF = np.float32(reference.TINY), np.float32(1), np.float32(0.5)
UNIT = np.float32(2.0**-24)
LEVELS_M, LEVELS_V = np.float32(127 * 127), np.float32(255 * 255)
STEP_M, STEP_V = np.float32(1 / 127), np.float32(1 / 255)


def adamw8bit_update(
    param, grad, m, m_scale, v, v_scale,
    *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0,
):
    """As numpy_ref.adamw8bit_update, float32."""
    contract = contracts.adamw8bit.ready
    (_, grad, *_), _ = reference.arrays(param, grad, m, m_scale, v, v_scale, step, contract)
    _update(
        param.reshape(-1), grad.reshape(-1), m, m_scale, v, v_scale,
        np.uint32(step * ROOT2 % 2**32),
        *map(np.float32, factors(lr, beta1, beta2, eps, weight_decay, step, grad_scale)),
    )


@inline
def _noise(i, start):
    """The dither of value i, in [0, 1)."""
    bits = np.uint32(np.uint64(i) * GOLDEN + np.uint64(start))
    return np.float32(np.int32(bits >> np.uint32(8))) * UNIT


@inline
def _inverse(scale):
    return ONE / scale if scale >= TINY else np.float32(0)


@inline
def _encode_signed(value, inverse, noise):
    x = min(abs(value) * inverse, ONE) * LEVELS_M
    below = np.rint(np.sqrt(x) - HALF)
    code = below + ONE if x - below * below > noise * (below + below + ONE) else below
    return np.int8(-code if value < 0 else code)


@inline
def _encode_positive(value, inverse, noise):
    q = np.sqrt(min(value * inverse, ONE)) * LEVELS_V
    below = np.rint(np.sqrt(q) - HALF)
    square, twice = below * below, below + below
    gap = (twice + ONE) * (square + square + twice + ONE)
    code = below + ONE if (q - square) * (q + square) > noise * gap else below
    return np.uint8(max(code, ONE) if value > 0 else np.float32(0))


@parallel
def _update(
    param, grad, m, m_scale, v, v_scale, start,
    grad_scale, toward1, toward2, decay, rate, root_correction, eps,
):
    for group in prange((m_scale.size + BLOCKS - 1) // BLOCKS):
        a, b = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        for block in range(group * BLOCKS, min((group + 1) * BLOCKS, m_scale.size)):
            begin = block * BLOCK
            p, g = param[begin : begin + BLOCK], grad[begin : begin + BLOCK]
            mc, vc = m[begin : begin + BLOCK], v[begin : begin + BLOCK]  # the codes
            for i in range(p.size):
                x, y = np.float32(mc[i]) * STEP_M, np.float32(vc[i]) * STEP_V
                x *= abs(x) * m_scale[block]
                y *= y
                y *= y * v_scale[block]
                slope = g[i] * grad_scale
                a[i] = x = x + (slope - x) * toward1
                b[i] = y = y + (slope * slope - y) * toward2
                p[i] = p[i] * decay - rate * x / (np.sqrt(y) * root_correction + eps)
            m_scale[block] = row_max(np.abs(a[: p.size]))
            v_scale[block] = row_max(b[: p.size])
            m_inverse, v_inverse = _inverse(m_scale[block]), _inverse(v_scale[block])
            for i in range(p.size):
                noise = _noise(begin + i, start)
                mc[i] = _encode_signed(a[i], m_inverse, noise)
                vc[i] = _encode_positive(b[i], v_inverse, noise)
