"""Embedding in Numba; derived in numpy_ref/embedding.py.  Also written in: c/embedding.c."""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import parallel, prange

STRIP = 64  # columns of dweight that one thread owns at a time


def embedding_forward(weight, ids):
    """As numpy_ref.embedding_forward: NumPy's own gather, which mode="clip" spares a buffer."""
    (weight, ids), (V, C, _) = contracts.embedding_forward.ready(weight, ids)
    checks.ids("embedding", ids, V)
    return np.take(weight, ids, 0, memory.empty((*ids.shape, C)), mode="clip")


def embedding_backward(dy, ids, num_embeddings):
    """As numpy_ref.embedding_backward, float32."""
    (dy, ids), (rows, width) = contracts.embedding_backward.ready(dy, ids)
    checks.ids("embedding", ids, num_embeddings)
    dweight = memory.empty((num_embeddings, width))
    _backward(dy.reshape(rows, width), checks.int64(ids).reshape(-1), dweight)
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
