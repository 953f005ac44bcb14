"""Embedding in Numba; derived in numpy_ref/embedding.py.  Also written in: c/embedding.c."""

import numpy as np

from kernels import checks, memory
from kernels.numba_jit.jit import parallel, prange

STRIP = 64  # columns of dweight that one thread owns at a time


def embedding_forward(weight, ids):
    """As numpy_ref.embedding_forward: NumPy's own gather, which mode="clip" spares a buffer."""
    checks.floating("embedding", weight=weight)
    checks.ids("embedding", ids, len(weight))
    return np.take(weight, ids, 0, memory.empty((*ids.shape, weight.shape[1])), mode="clip")


def embedding_backward(dy, ids, num_embeddings):
    """As numpy_ref.embedding_backward, float32."""
    checks.floating("embedding", dy=dy)
    checks.ids("embedding", ids, num_embeddings)
    width = dy.shape[-1]
    dweight = memory.empty((num_embeddings, width))
    ids = np.ascontiguousarray(ids, np.int64).reshape(-1)
    _backward(np.ascontiguousarray(dy).reshape(-1, width), ids, dweight)
    return dweight


@parallel
def _backward(dy, ids, dweight):
    """Threads own strips of columns: every sum runs in the order of the ids."""
    size, width = dweight.shape
    for strip in prange((width + STRIP - 1) // STRIP):
        first, end = strip * STRIP, min((strip + 1) * STRIP, width)
        for v in range(size):
            dweight[v, first:end] = np.float32(0)
        for r in range(ids.size):
            to, grad = dweight[ids[r], first:end], dy[r, first:end]
            for c in range(to.size):
                to[c] += grad[c]
