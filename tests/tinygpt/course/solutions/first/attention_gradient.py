import math

import numpy as np

from kernels import checks, contracts
from kernels.numpy_ref.attention import (
    _distances,
    _repeated,
    _scores,
    _sum_groups,
    check_gradients,
    turned,
)


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    given = (dy, q, k, v, y, lse, first, last, bias, *(rotary or (None, None)))
    sizes = contracts.attention_backward.check(*given)
    checks.attention(sizes, first, last)
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    H, D = q.shape[2:]
    group = H // k.shape[2]
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    q, k = turned(q, k, rotary)
    p = np.exp(_scores(q, k, causal, scale, first, last, bias)
               - np.nan_to_num(lse, neginf=0.0)[..., None])
    dp = np.einsum("bihd,bhjd->bhij", dy, _repeated(v, H))
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True))
    dq = np.einsum("bhij,bhjd->bihd", ds, _repeated(k, H)) * factor
    dk = _sum_groups(np.einsum("bhij,bihd->bhjd", ds, q), group).swapaxes(1, 2) * factor
    dv = _sum_groups(np.einsum("bhij,bihd->bhjd", p, dy), group).swapaxes(1, 2)
    dq, dk = turned(dq, dk, rotary, back=True)
    if out is None:
        out = tuple(np.zeros_like(g) for g in (dq, dk, dv))
    for into, grad in zip(out, (dq, dk, dv), strict=True):
        into[:] = grad
    if bias is None or not wants_bias:
        return tuple(out)
    dbias = np.zeros_like(bias)
    places = _distances(*ds.shape[2:])
    for at in range(bias.shape[1]):
        dbias[:, at] = ds[:, :, places == at].sum(axis=(0, 2))
    return (*out, dbias)
