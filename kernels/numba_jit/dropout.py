"""Dropout in Numba, one pass; derived in numpy_ref/dropout.py.  Also written in: c/dropout.c."""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import inline, parallel, prange

FIRST, SECOND, LOW_32 = np.uint64(0x85EBCA6B), np.uint64(0xC2B2AE35), np.uint64(0xFFFFFFFF)


def dropout_forward(x, p, key):
    """As numpy_ref.dropout_forward, float32."""
    key = checks.dropout(p, key)
    (x,), _ = contracts.dropout.ready(x)
    y = memory.empty(x.shape)
    threshold = np.uint32(min(int(p * 2.0**32), 2**32 - 1))
    low, high, scale = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32), np.float32(1 / (1 - p))
    _forward(x.reshape(-1), y.reshape(-1), low, high, threshold, scale)
    return y


def dropout_backward(dy, p, key):
    """As numpy_ref.dropout_backward, float32: the same mask and scale, applied to dy."""
    return dropout_forward(dy, p, key)


@inline
def _mix(h):
    """MurmurHash3's finaliser.  A product of 32-bit numbers is made in 64 bits, then cut."""
    h = np.uint32((np.uint64(h ^ (h >> np.uint32(16))) * FIRST) & LOW_32)
    h = np.uint32((np.uint64(h ^ (h >> np.uint32(13))) * SECOND) & LOW_32)
    return np.uint32(h ^ (h >> np.uint32(16)))


@parallel
def _forward(x, y, low, high, threshold, scale):
    for i in prange(x.size):
        h = _mix(np.uint32(_mix(np.uint32(np.uint32(i) ^ low)) ^ high))
        y[i] = x[i] * scale if h >= threshold else np.float32(0)
