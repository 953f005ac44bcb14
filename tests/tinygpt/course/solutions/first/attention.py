import numpy as np

from kernels.numpy_ref.attention import _scores, turned


def attention_weights(
    q, k, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    scores = _scores(*turned(q, k, rotary), causal, scale, first, last, bias)
    peak = scores.max(axis=-1)
    shift = np.where(peak == -np.inf, 0, peak).astype(q.dtype)
    e = np.exp(scores - shift[..., None])
    total = e.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        lse = shift + np.log(total)
        p = np.nan_to_num(e / total[..., None], nan=0.0)
    return scores, p, lse
