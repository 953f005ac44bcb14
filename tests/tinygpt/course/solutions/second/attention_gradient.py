import math

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.attention import _distances, _scores, check_gradients, turned


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    given = (dy, q, k, v, y, lse, first, last, bias, *(rotary or (None, None)))
    sizes = contracts.attention_backward.check(*given)
    checks.attention(sizes, first, last)
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    B, Tq, H, D = q.shape
    each = H // k.shape[2]
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    q, k = turned(q, k, rotary)
    scores = _scores(q, k, causal, scale, first, last, bias)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    dbias = None if bias is None else np.zeros_like(bias)
    for b, h in np.ndindex(B, H):
        g = h // each
        top = np.where(np.isneginf(lse[b, h]), 0, lse[b, h])[:, None]
        p = np.exp(scores[b, h] - top).astype(q.dtype)
        dp = dy[b, :, h] @ v[b, :, g].T
        ds = p * (dp - (dy[b, :, h] * y[b, :, h]).sum(-1, keepdims=True))
        dv[b, :, g] += p.T @ dy[b, :, h]
        dq[b, :, h] = factor * (ds @ k[b, :, g])
        dk[b, :, g] += factor * (ds.T @ q[b, :, h])
        if dbias is not None:
            np.add.at(dbias[h], _distances(*ds.shape), ds)
    dq, dk = turned(dq, dk, rotary, back=True)
    if out is not None:
        for into, grad in zip(out, (dq, dk, dv), strict=True):
            into[...] = grad
        found = tuple(out)
    else:
        found = (np.ascontiguousarray(dq), np.ascontiguousarray(dk), dv)
    return found if dbias is None or not wants_bias else (*found, dbias)
