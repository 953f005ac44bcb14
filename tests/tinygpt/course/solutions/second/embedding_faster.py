import numpy as np


def embedding_backward(dy, ids, num_embeddings):
    C, flat = dy.shape[-1], ids.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    grad = np.zeros((num_embeddings, C), dy.dtype)
    grad[ordered[starts]] = np.add.reduceat(dy.reshape(-1, C)[order], starts, axis=0)
    return grad
