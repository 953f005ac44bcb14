"""Embedding: a row of a table for each id.

Also written in: numba_jit/embedding.py, c/embedding.c.
"""

import numpy as np

from kernels import checks, contracts


def embedding_forward(weight, ids):
    """y = weight[ids].

    weight: (V, C) float; ids: any shape, int.  Returns y (*ids.shape, C).
    Raises IndexError naming the id if one is outside [0, V).
    """
    V, _, _ = contracts.embedding_forward.check(weight, ids)
    checks.ids("embedding", ids, V)
    return weight[ids]


def embedding_backward(dy, ids, num_embeddings):
    """Gradient of embedding_forward.

    dy: (*ids.shape, C); ids as given to forward (saved); num_embeddings: V.
    Returns dweight (V, C): rows of dy are added in the order of the ids, so the sum is the same
    bytes every time.
    Raises IndexError naming the id if one is outside [0, V).
    """
    R, C = contracts.embedding_backward.check(dy, ids)
    checks.ids("embedding", ids, num_embeddings)
    # y_r = w_{ids_r}   =>   dw_v = sum of dy_r over the rows r with ids_r = v
    dweight = np.zeros((num_embeddings, C), dtype=dy.dtype)
    np.add.at(dweight, ids.reshape(-1), dy.reshape(R, C))
    return dweight
