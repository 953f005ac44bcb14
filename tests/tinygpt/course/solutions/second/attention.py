import numpy as np

from kernels.numpy_ref.attention import _scores, turned


def attention_weights(
    q, k, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    q, k = turned(q, k, rotary)
    scores = _scores(q, k, causal, scale, first, last, bias)
    lse = np.logaddexp.reduce(scores, axis=-1)
    seen = ~np.isneginf(lse)[..., None]
    p = np.where(seen, np.exp(scores - np.where(seen, lse[..., None], 0)), 0).astype(q.dtype)
    return scores, p / np.where(seen, p.sum(axis=-1, keepdims=True), 1).astype(q.dtype), lse
