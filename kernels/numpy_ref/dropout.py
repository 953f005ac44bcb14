"""Dropout whose mask is computed, not stored.

Whether element i is kept is a hash of (key, i). Backward hashes again instead of reading a mask,
every backend keeps the same elements, and the order of threads cannot matter.

Also written in: numba_jit/dropout.py, c/dropout.c.
"""

import numpy as np

from kernels import checks, contracts


def keep_mask(size, p, key):
    """Boolean (size,): True with probability 1 - p, a function of (key, index) alone.

    size: number of elements; key: unsigned 64-bit integer, one for each call.
    Source: the 32-bit finaliser of MurmurHash3 (Appleby 2011), twice, the key's halves in between.
    """
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    h = _mix(np.arange(size, dtype=np.uint32) ^ low)  # the index wraps after 2^32 elements
    h = _mix(h ^ high)
    return h >= np.uint32(min(int(p * 2.0**32), 2**32 - 1))


def _mix(h):
    """MurmurHash3's finaliser: every input bit flips every output bit about half the time."""
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def dropout_forward(x, p, key):
    """y = x keep / (1 - p): the expectation of y is x.

    x: any shape, float; p: chance to drop, in [0, 1); key: unsigned 64-bit integer.
    Returns y, same shape and dtype.  Source: Srivastava et al. 2014.
    """
    contracts.dropout.check(x)
    keep = keep_mask(x.size, p, checks.dropout(p, key)).reshape(x.shape)
    return np.where(keep, x * x.dtype.type(1 / (1 - p)), x.dtype.type(0))


def dropout_backward(dy, p, key):
    """Gradient of dropout_forward: the same mask and scale, applied to dy.  Nothing is saved."""
    return dropout_forward(dy, p, key)
