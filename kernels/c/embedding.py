"""The Python side of embedding.c: check, allocate, call."""

import numpy as np

from kernels import contracts, memory
from kernels.c import ids as c_ids
from kernels.c import library
from kernels.c.library import pointer


def embedding_forward(weight, ids):
    """As numpy_ref.embedding_forward, float32."""
    (weight, ids), (size, n, _) = contracts.embedding_forward.ready(weight, ids)
    chosen = c_ids.checked("embedding", ids, size)
    y = memory.empty((*ids.shape, n))
    library.lib.embedding_forward(
        pointer(weight), c_ids.pointer(chosen), pointer(y), chosen.size, n
    )
    return y


def embedding_backward(dy, ids, num_embeddings):
    """As numpy_ref.embedding_backward, float32."""
    (dy, ids), (_, n) = contracts.embedding_backward.ready(dy, ids)
    chosen = c_ids.checked("embedding", ids, num_embeddings)
    dweight = memory.empty((num_embeddings, n))
    scratch = memory.empty((chosen.size + num_embeddings + 1,), np.int64)
    library.lib.embedding_backward(
        pointer(dy), c_ids.pointer(chosen), pointer(dweight), c_ids.pointer(scratch), chosen.size,
        num_embeddings, n,
    )
    return dweight
