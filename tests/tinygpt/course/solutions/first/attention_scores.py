import numpy as np

from kernels.numpy_ref.attention import _distances, _repeated


def _scores(q, k, causal, scale, first, last, bias):
    B, Tq, H, D = q.shape
    Tk = k.shape[1]
    scores = np.einsum("bihd,bhjd->bhij", q, _repeated(k, H))
    scores = scores * q.dtype.type(D**-0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias[:, _distances(Tq, Tk)]
    i, j = np.indices((Tq, Tk))
    hidden = np.zeros((B, Tq, Tk), bool)
    if causal:
        hidden |= j > i + Tk - Tq
    if first is not None:
        hidden |= j < first[:, :, None]
    if last is not None:
        hidden |= j >= last[:, :, None]
    scores[np.broadcast_to(hidden[:, None], scores.shape)] = -np.inf
    return scores
