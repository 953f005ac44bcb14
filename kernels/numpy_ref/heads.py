"""A key or value in a byte a number: how a cache that is rounded keeps a head.

    codes   D int8, x ~ scale code, scale = max|x| / 127 over the head's own D numbers
    scale   float32, in the four bytes behind them

So a head is D + 4 bytes of one int8 array, for D = 32 a quarter and a bit of what it is in float32,
and a ring of heads is copied, grown and sliced as one of floats is. Keys and values of long texts
are what a step reads most of, no two texts' alike (bench/LOG.md, "Eight answers in one pass"); the
scale stands beside its codes so that they are read as they lie.

One scale for each head at each position, because a key is written once and never looked at again
before it is read: a scale for each channel would have to know the keys that are still to come.

Also written in: c/decode_heads.h.  Read next: decode.py.
"""

from __future__ import annotations

import numpy as np

from kernels.numpy_ref.matmul_int8 import quantize_rows

SCALE_BYTES = 4


def round_heads(x: np.ndarray) -> np.ndarray:
    """(..., D) float32 -> (..., D + 4) int8."""
    codes, scale = quantize_rows(x)
    return np.concatenate([codes, scale.astype(np.float32)[..., None].view(np.int8)], axis=-1)


def restore_heads(kept: np.ndarray) -> np.ndarray:
    """What (..., D + 4) int8 stand for, (..., D) float32."""
    scale = np.ascontiguousarray(kept[..., -SCALE_BYTES:]).view(np.float32)
    return kept[..., :-SCALE_BYTES] * scale
