"""Causal self-attention over several heads.

Also written in: numba_jit/attention.py, c/attention.c, where no (T, T) matrix is ever stored;
here it is, because the formula is easier to see.
"""

import math

import numpy as np

from kernels import checks, contracts


def attention_forward(q, k, v, causal=True, scale=None, first=None):
    """y_i = sum_j p_ij v_j,   p_ij = softmax_j(scale q_i . k_j) over the keys that i may see.

    q: (B, Tq, H, D); k, v: (B, Tk, Hkv, D), Hkv dividing H (grouped heads: query head h reads key
    head h // (H / Hkv)); any strides with a contiguous last axis, so views of one packed
    (B, T, 3C) projection are read in place.
    causal: query i sees keys j <= i + Tk - Tq (the last query sees all: a KV cache works).
    scale: None means 1 / sqrt(D).
    first: (B, Tq) int in [0, Tk], query i of row b sees no key before first[b, i]: where its
    document begins in a packed row, or where padding ends.  None: every key counts from 0.
    Returns (y, lse): y (B, Tq, H, D); lse (B, H, Tq), the log of each row's sum of exponentials,
    saved for backward in place of p (4 bytes a row, not 4 Tk).  A query that sees no key gets
    zeros, and lse -inf.
    Source: Vaswani et al. 2017; lse as in Dao et al. 2022.
    """
    _, _, H, D, Tk, Hkv = contracts.attention_forward.check(q, k, v, first)
    checks.heads("attention", H, Hkv, D)
    checks.first_keys(first, Tk)
    scores, k_heads, v_heads = _scores(q, k, v, causal, scale, first)  # (B, H, Tq, Tk)
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(peak), 0, peak))
    total = e.sum(axis=-1, keepdims=True)
    y = (e / np.where(total == 0, 1, total)) @ v_heads  # (B, H, Tq, D)
    with np.errstate(divide="ignore"):
        lse = (np.log(total) + peak)[..., 0]
    return np.ascontiguousarray(y.swapaxes(1, 2)), lse


def attention_backward(dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None):
    """Gradients of attention_forward.

    dy, y: (B, Tq, H, D); q, k, v as given to forward; y, lse as it returned.
    out: (dq, dk, dv), strided views to fill (one packed gradient), or None to allocate; they share
    memory with nothing else that is given, nor with each other (ValueError).
    Returns (dq, dk, dv) of q's, k's and v's shapes.
    """
    _, _, H, D, Tk, Hkv = contracts.attention_backward.check(dy, q, k, v, y, lse, first)
    checks.heads("attention", H, Hkv, D)
    checks.first_keys(first, Tk)
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    group = H // Hkv
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    scores, k_heads, v_heads = _scores(q, k, v, causal, scale, first)
    p = np.exp(scores - np.where(np.isneginf(lse), 0, lse)[..., None])  # recomputed, (B, H, Tq, Tk)
    dy_heads, q_heads = dy.swapaxes(1, 2), q.swapaxes(1, 2)  # (B, H, Tq, D)
    # y_i = sum_j p_ij v_j                =>   dv_j = sum_i p_ij dy_i,   dp_ij = dy_i . v_j
    # softmax: ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij),  and  sum_j p_ij dp_ij = dy_i . y_i
    # s_ij = scale q_i . k_j              =>   dq_i = scale sum_j ds_ij k_j,  dk_j likewise
    dv_heads = p.swapaxes(-1, -2) @ dy_heads
    row = (dy * y).sum(axis=-1).swapaxes(1, 2)[..., None]  # (B, H, Tq, 1)
    ds = p * (dy_heads @ v_heads.swapaxes(-1, -2) - row) * factor
    grads = [
        (ds @ k_heads).swapaxes(1, 2),
        _sum_groups(ds.swapaxes(-1, -2) @ q_heads, group).swapaxes(1, 2),
        _sum_groups(dv_heads, group).swapaxes(1, 2),
    ]
    if out is None:
        out = [np.empty(g.shape, g.dtype) for g in grads]
    for target, grad in zip(out, grads, strict=True):
        target[...] = grad
    return tuple(out)


def check_gradients(q, k, out, read):
    """Raise unless out is (dq, dk, dv) to fill, of q's and k's shapes and apart from all else."""
    if len(out) != 3:
        raise ValueError(f"attention: out must be (dq, dk, dv), not {len(out)} arrays")
    contracts.attention_gradients.check(q, k, *out)
    written = dict(zip(("dq", "dk", "dv"), out, strict=True))
    checks.filled("attention", **written)
    names = ("dy", "v", "y", "lse")
    checks.apart("attention", written, {"q": q, "k": k, **dict(zip(names, read, strict=True))})


def _scores(q, k, v, causal, scale, first):
    """Masked scores (B, H, Tq, Tk), and k, v as (B, H, Tk, D) with grouped heads repeated."""
    Tq, H, D = q.shape[1:]
    Tk, Hkv = k.shape[1:3]
    k_heads = np.repeat(k.swapaxes(1, 2), H // Hkv, axis=1)
    v_heads = np.repeat(v.swapaxes(1, 2), H // Hkv, axis=1)
    factor = q.dtype.type(1 / math.sqrt(D) if scale is None else scale)
    scores = q.swapaxes(1, 2) @ k_heads.swapaxes(-1, -2) * factor
    if causal:
        visible = np.arange(Tk) <= np.arange(Tq)[:, None] + (Tk - Tq)  # (Tq, Tk)
        scores = np.where(visible, scores, q.dtype.type(-np.inf))
    if first is not None:
        visible = np.arange(Tk) >= first[:, None, :, None]  # (B, 1, Tq, Tk)
        scores = np.where(visible, scores, q.dtype.type(-np.inf))
    return scores, k_heads, v_heads


def _sum_groups(grad, group):
    """(B, H, T, D) -> (B, H / group, T, D): a key head serves `group` query heads."""
    B, H, T, D = grad.shape
    return grad.reshape(B, H // group, group, T, D).sum(axis=2)
