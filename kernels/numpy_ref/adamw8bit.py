"""One AdamW step on moments that take one byte a value each.

A block of 256 values shares one scale, its largest magnitude, so one outlier coarsens only its own
block (Dettmers et al. 2022). Within a block the codes are spaced by a power law, finer towards
zero, because moments span many orders of magnitude:

    m = scale sign(c) (|c| / 127)^2        c in -127..127
    v = scale (c / 255)^4                  c in 0..255

Adam divides by sqrt(v), so v must not become 0 while gradients flow: its code is at least 1 where v
is above 0. A running mean moves by less than one code a step and plain rounding would freeze it. So
codes are rounded up or down by a dither, frac(i / golden ratio + t sqrt(2)) for value i at step t:
evenly spread over values and over steps, the mean moves as it should, and nothing has to be stored
or drawn, so a resumed run makes the same bytes.

Also written in: numba_jit/adamw8bit.py, c/adamw8bit.c.  Used by: minigrad/optim/adamw8bit.py.
"""

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.adamw import factors

BLOCK = 256  # values that share a scale
GOLDEN, ROOT2 = 0x9E3779B9, 0x6A09E667  # the fractions of the golden ratio and of sqrt(2), in 2^-32
TINY = float(np.finfo(np.float32).tiny)  # below this scale a block counts as zeros


def adamw8bit_update(
    param, grad, m, m_scale, v, v_scale,
    *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0,
):
    """One AdamW step, in place on param and on the coded moments.

    param, grad: one shape, size n, and float dtype.  m: (n,) int8.  v: (n,) uint8.
    m_scale, v_scale: (ceil(n / BLOCK),) of param's dtype.  All but grad are written: contiguous,
    and none shares memory with another of the six (ValueError).  The rest as in adamw_update, with
    the bias corrections pulled out of the loop as the fast versions do. Gradients must be finite.
    """
    arrays(param, grad, m, m_scale, v, v_scale, step)
    values = factors(lr, beta1, beta2, eps, weight_decay, step, grad_scale)
    scaling, toward1, toward2, decay, rate, root_correction, eps = map(param.dtype.type, values)
    g = _blocks(grad) * scaling  # (blocks, BLOCK), as all below
    a, b = decode_signed(_blocks(m), m_scale), decode_positive(_blocks(v), v_scale)
    a += (g - a) * toward1
    b += (g * g - b) * toward2
    p = _blocks(param) * decay - a * rate / (np.sqrt(b) * root_correction + eps)
    noise = dither(len(g), step).astype(param.dtype)
    param[...] = p.reshape(-1)[: param.size].reshape(param.shape)
    codes, m_scale[:] = encode_signed(a, noise)
    m[:] = codes.reshape(-1)[: m.size]
    codes, v_scale[:] = encode_positive(b, noise)
    v[:] = codes.reshape(-1)[: v.size]


def arrays(param, grad, m, m_scale, v, v_scale, step, contract=contracts.adamw8bit.check):
    """What the contract gives for them.  Raises as it does, and for memory that is shared."""
    checks.step("adamw8bit", step)
    found = contract(param, grad, m, m_scale, v, v_scale, blocks=-(-np.size(param) // BLOCK))
    written = {"param": param, "m": m, "m_scale": m_scale, "v": v, "v_scale": v_scale}
    checks.apart("adamw8bit", written, {"grad": grad})
    return found


def dither(blocks, step):
    """(blocks, BLOCK) float32 in [0, 1): frac(i GOLDEN + step ROOT2), in 32-bit fixed point."""
    i = np.arange(blocks * BLOCK, dtype=np.uint32)  # wraps after 2^32 values
    bits = i * np.uint32(GOLDEN) + np.uint32(step * ROOT2 % 2**32)
    return ((bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(-1, BLOCK)


def decode_signed(codes, scale):
    """m of int8 codes (blocks, BLOCK) and scale (blocks,)."""
    x = codes.astype(scale.dtype) * scale.dtype.type(1 / 127)
    return x * np.abs(x) * scale[:, None]


def decode_positive(codes, scale):
    """v of uint8 codes (blocks, BLOCK) and scale (blocks,)."""
    x = codes.astype(scale.dtype) * scale.dtype.type(1 / 255)
    x *= x
    return x * x * scale[:, None]


# A value x = level^2 (for m) or level^4 (for v) lies between those of whole levels b and b + 1.
# It goes up with the chance that keeps the mean, its place between the two:
#     (x - b^2) / ((b + 1)^2 - b^2) = (x - b^2) / (2 b + 1)
#     (x - b^4) / ((b + 1)^4 - b^4) = (q - b^2) (q + b^2) / ((2 b + 1) (2 b^2 + 2 b + 1)),  q^2 = x
# "chance > noise" is asked without the division. At the upper level the chance is 1, more than any
# noise, so it does not matter whether a whole level counts as below itself or as above the last.


def encode_signed(values, noise):
    """(codes int8, scale) of values (blocks, BLOCK), rounded by noise in [0, 1)."""
    fraction, scale = _fraction(values)
    x = fraction * values.dtype.type(127 * 127)
    below = _below(np.sqrt(x))
    codes = below + (x - below * below > noise * (below + below + 1))
    return np.copysign(codes, values).astype(np.int8), scale


def encode_positive(values, noise):
    """(codes uint8, scale) of values (blocks, BLOCK) >= 0, rounded by noise in [0, 1)."""
    fraction, scale = _fraction(values)
    q = np.sqrt(fraction) * values.dtype.type(255 * 255)
    below = _below(np.sqrt(q))
    square, twice = below * below, below + below
    gap = (twice + 1) * (square + square + twice + 1)
    codes = below + ((q - square) * (q + square) > noise * gap)
    return np.maximum(codes, values > 0).astype(np.uint8), scale


def _below(level):
    """The whole level below; of a whole level, itself or the one before it."""
    return np.rint(level - level.dtype.type(0.5))


def _fraction(values):
    """(|values| as a share of their block's largest, in 0..1, and that largest, (blocks,))."""
    scale = np.abs(values).max(axis=1)
    inverse = np.zeros_like(scale)
    np.divide(1, scale, out=inverse, where=scale >= TINY)
    return np.minimum(np.abs(values) * inverse[:, None], values.dtype.type(1)), scale


def _blocks(array):
    """A copy as (blocks, BLOCK), with zeros after the end."""
    padded = np.zeros(-(-array.size // BLOCK) * BLOCK, array.dtype)
    padded[: array.size] = array.reshape(-1)
    return padded.reshape(-1, BLOCK)
