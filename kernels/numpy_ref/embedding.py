"""Embedding: a row of a table for each id.

Also written in: numba_jit/embedding.py, c/embedding.c.
"""

import numpy as np

from kernels import checks


def embedding_forward(weight, ids):
    """y = weight[ids].

    weight: (V, C) float; ids: any shape, int.  Returns y (*ids.shape, C).
    Raises IndexError naming the id if one is outside [0, V).
    """
    checks.floating("embedding", weight=weight)
    checks.ids("embedding", ids, len(weight))
    return weight[ids]


def embedding_backward(dy, ids, num_embeddings):
    """Gradient of embedding_forward.

    dy: (*ids.shape, C); ids as given to forward (saved); num_embeddings: V.
    Returns dweight (V, C): rows of dy are added in the order of the ids, so the sum is the same
    bytes every time.
    """
    checks.floating("embedding", dy=dy)
    # y_r = w_{ids_r}   =>   dw_v = sum of dy_r over the rows r with ids_r = v
    dweight = np.zeros((num_embeddings, dy.shape[-1]), dtype=dy.dtype)
    np.add.at(dweight, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return dweight
