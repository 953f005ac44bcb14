import numpy as np

from kernels.numpy_ref.muon import TINY


def whiten(gram, rounds):
    kind = gram.dtype.type
    norm2 = np.trace(gram) + kind(TINY)
    g, eye = gram / norm2, np.eye(len(gram), dtype=gram.dtype)
    w = eye
    for a, b, c in rounds:
        p = kind(a) * eye + kind(b) * g + kind(c) * g @ g
        w = w @ p
        g = p @ g @ p
    return w / np.sqrt(norm2)
