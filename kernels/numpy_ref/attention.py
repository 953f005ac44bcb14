"""Attention over several heads: of a sequence to itself, its past, or another sequence.

Also written in: numba_jit/attention.py, c/attention.c, where no (T, T) matrix is ever stored;
here it is, because the formula is easier to see.
"""

import math

import numpy as np

from kernels import checks, contracts


def attention_forward(
    q, k, v, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    """y_i = sum_j p_ij v_j,   p_ij = softmax_j(scale q_i . k_j + bias) over the keys that i sees.

    q: (B, Tq, H, D); k, v: (B, Tk, Hkv, D), Hkv dividing H (grouped heads: query head h reads key
    head h // (H / Hkv)); any strides with a contiguous last axis, so views of one packed
    (B, T, 3C) projection are read in place.
    The queries are the last of the positions: query i stands at i + Tk - Tq, key j at j.
    causal: query i sees keys j <= i + Tk - Tq (the last query sees all: a KV cache works).
    scale: None means 1 / sqrt(D).
    first, last: (B, Tq) int in [0, Tk]; query i of row b sees keys first[b, i] <= j < last[b, i]:
    its document in a packed row, a window, what is no padding.  None: from 0, to Tk.
    bias: (H, Tq + Tk - 1), added to the score of head h by distance alone:
    bias[h, (i + Tk - Tq) - j + Tq - 1], so that the middle is no distance and the past is to the
    right.  ALiBi (Press et al. 2022) and T5's buckets (Raffel et al. 2020) are such tables.
    rotary: (cos, sin), each (at least Tk, R), 2 R <= D: q and k are turned by their positions' rows
    (`rotate`) as they are read.
    Returns (y, lse): y (B, Tq, H, D); lse (B, H, Tq), the log of each row's sum of exponentials,
    saved for backward in place of p (4 bytes a row, not 4 Tk).  A query that sees no key gets
    zeros, and lse -inf.
    Source: Vaswani et al. 2017; lse as in Dao et al. 2022.
    """
    cos, sin = rotary or (None, None)
    sizes = contracts.attention_forward.check(q, k, v, first, last, bias, cos, sin)
    checks.attention(sizes, first, last)
    _, p, lse = attention_weights(q, k, causal, scale, first, last, bias, rotary)
    y = p @ _repeated(v, q.shape[2])  # (B, H, Tq, D)
    return np.ascontiguousarray(y.swapaxes(1, 2)), lse


def attention_weights(
    q, k, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    """What attention_forward weighs values by, stored whole: to look at, not to train with.

    Arguments as of attention_forward, unchecked.
    Returns (scores, p, lse): scores (B, H, Tq, Tk), -inf where a query does not see a key; p, the
    same shape, rows of sum 1, or of zeros where no key is seen; lse (B, H, Tq).
    """
    q, k = turned(q, k, rotary)
    scores = _scores(q, k, causal, scale, first, last, bias)
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(peak), 0, peak))
    total = e.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = (np.log(total) + peak)[..., 0]
    return scores, e / np.where(total == 0, 1, total), lse


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    """Gradients of attention_forward.

    dy, y: (B, Tq, H, D); q, k, v as given to forward; y, lse as it returned.
    out: (dq, dk, dv), strided views to fill (one packed gradient), or None to allocate; they share
    memory with nothing else that is given, nor with each other (ValueError).
    wants_bias: whether the bias learns; a fixed one (ALiBi) needs no gradient.
    Returns (dq, dk, dv) of q's, k's and v's shapes, then dbias if there is a bias and it is wanted.
    """
    given = (dy, q, k, v, y, lse, first, last, bias, *(rotary or (None, None)))
    sizes = contracts.attention_backward.check(*given)
    checks.attention(sizes, first, last)
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    _, _, H, D, _, Hkv = sizes[:6]
    group = H // Hkv
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    q, k = turned(q, k, rotary)
    k_heads, v_heads = _repeated(k, H), _repeated(v, H)
    scores = _scores(q, k, causal, scale, first, last, bias)
    p = np.exp(scores - np.where(np.isneginf(lse), 0, lse)[..., None])  # recomputed, (B, H, Tq, Tk)
    dy_heads, q_heads = dy.swapaxes(1, 2), q.swapaxes(1, 2)  # (B, H, Tq, D)
    # y_i = sum_j p_ij v_j                =>   dv_j = sum_i p_ij dy_i,   dp_ij = dy_i . v_j
    # softmax: ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij),  and  sum_j p_ij dp_ij = dy_i . y_i
    # s_ij = scale q_i . k_j + b_(i-j)    =>   dq_i = scale sum_j ds_ij k_j,  dk_j likewise,
    #                                          db_r = sum over the diagonal i - j = r of ds_ij
    # q = R_i q'  (a rotation)            =>   dq' = R_i^T dq, the rotation back
    dv_heads = p.swapaxes(-1, -2) @ dy_heads
    row = (dy * y).sum(axis=-1).swapaxes(1, 2)[..., None]  # (B, H, Tq, 1)
    ds = p * (dy_heads @ v_heads.swapaxes(-1, -2) - row)
    dbias = None
    if bias is not None and wants_bias:
        dbias = np.zeros(bias.shape, q.dtype)
        np.add.at(dbias, (slice(None), _distances(*ds.shape[2:])), ds.sum(axis=0))
    ds = ds * factor
    dq = (ds @ k_heads).swapaxes(1, 2)
    dk = _sum_groups(ds.swapaxes(-1, -2) @ q_heads, group).swapaxes(1, 2)
    grads = [*turned(dq, dk, rotary, back=True), _sum_groups(dv_heads, group).swapaxes(1, 2)]
    if out is None:
        out = [np.empty(g.shape, g.dtype) for g in grads]
    for target, grad in zip(out, grads, strict=True):
        target[...] = grad
    return tuple(out) if dbias is None else (*out, dbias)


def check_gradients(q, k, out, read):
    """Raise unless out is (dq, dk, dv) to fill, of q's and k's shapes and apart from all else."""
    if len(out) != 3:
        raise ValueError(f"attention: out must be (dq, dk, dv), not {len(out)} arrays")
    contracts.attention_gradients.check(q, k, *out)
    written = dict(zip(("dq", "dk", "dv"), out, strict=True))
    checks.filled("attention", **written)
    names = ("dy", "v", "y", "lse")
    checks.apart("attention", written, {"q": q, "k": k, **dict(zip(names, read, strict=True))})


def rotate(x, cos, sin):
    """Turn the pairs (x_d, x_{d + R}), d < R, by angles that grow with the position.

    x: (..., D); cos, sin: (..., R), 2 R <= D; coordinates from 2 R on stay.  Turned so, q . k
    depends on the distance of their positions alone:
        (R_i q) . (R_j k) = q . R_i^T R_j k = q . R_(j - i) k
    Source: Su et al. 2021 (RoFormer), with a pair's halves R apart as in Hugging Face's files.
    """
    R = cos.shape[-1]
    a, b, rest = x[..., :R], x[..., R : 2 * R], x[..., 2 * R :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def turned(q, k, rotary, back=False):
    """q and k turned by their positions; back: turned back, as gradients are."""
    if rotary is None:
        return q, k
    Tq, Tk = q.shape[1], k.shape[1]
    cos, sin = (table[:Tk, None].astype(q.dtype) for table in rotary)  # (Tk, 1, R)
    sin = -sin if back else sin
    return rotate(q, cos[Tk - Tq :], sin[Tk - Tq :]), rotate(k, cos, sin)


def _repeated(x, H):
    """Keys or values (B, Tk, Hkv, D) -> (B, H, Tk, D), each for its group of query heads."""
    return np.repeat(x.swapaxes(1, 2), H // x.shape[2], axis=1)


def _scores(q, k, causal, scale, first, last, bias):
    """Masked scores (B, H, Tq, Tk)."""
    Tq, H, D = q.shape[1:]
    Tk = k.shape[1]
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    scores = q.swapaxes(1, 2) @ _repeated(k, H).swapaxes(-1, -2) * factor
    if bias is not None:
        scores = scores + bias[:, _distances(Tq, Tk)]
    keys, visible = np.arange(Tk), np.ones((1, 1, Tq, Tk), bool)  # visible: (B or 1, 1, Tq, Tk)
    if causal:
        visible = visible & (keys <= np.arange(Tq)[:, None] + (Tk - Tq))
    if first is not None:
        visible = visible & (keys >= first[:, None, :, None])
    if last is not None:
        visible = visible & (keys < last[:, None, :, None])
    return np.where(visible, scores, q.dtype.type(-np.inf))


def _distances(Tq, Tk):
    """Where each score's bias stands in its head's row, (Tq, Tk)."""
    return np.arange(Tq)[:, None] - np.arange(Tk) + (Tk - 1)


def _sum_groups(grad, group):
    """(B, H, T, D) -> (B, H / group, T, D): a key head serves `group` query heads."""
    B, H, T, D = grad.shape
    return grad.reshape(B, H // group, group, T, D).sum(axis=2)
