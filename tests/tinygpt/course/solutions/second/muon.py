import numpy as np

from kernels.numpy_ref.muon import TINY


def whiten(gram, rounds):
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    norm2 = values.sum() + TINY
    s2 = values / norm2
    scale = np.ones_like(s2)
    for a, b, c in rounds:
        p = a + b * s2 + c * s2 * s2
        scale, s2 = scale * p, s2 * p * p
    return ((vectors * scale) @ vectors.T / np.sqrt(norm2)).astype(gram.dtype)
