"""The Python side of attention.c: check, allocate, call.

Errors against float64, with e = 2^-23 and S the largest |scaled score|, whose rounding carries
over: y 2 e (1 + S) max |v|; lse 4 e (1 + max(S, |lse|)); a gradient 4 e (1 + S) times the larger of
its largest value and its largest term (for dq, scale max |dy . v| max |k|). Found over T from 1 to
257 and D from 1 to 80 on every instruction set, where the worst were half of that.
"""

import math
from functools import lru_cache

import numpy as np

from kernels import checks, contracts, memory
from kernels.c import ids, library
from kernels.c.library import pointer, strided_pointer, strides
from kernels.numpy_ref.attention import check_gradients


def attention_forward(q, k, v, causal=True, scale=None, first=None):
    """As numpy_ref.attention_forward, float32."""
    (q, k, v, first), (*_, H, D, Tk, Hkv) = contracts.attention_forward.ready(q, k, v, first)
    checks.heads("attention", H, Hkv, D)
    first = _int64(first, Tk)
    y = memory.empty(q.shape)
    lse = memory.empty((q.shape[0], q.shape[2], q.shape[1]))  # (B, H, Tq)
    if y.size:
        shape = _shape(q, k, v, causal, scale)
        scratch = memory.scratch(library.lib.attention_scratch(shape, 0))
        library.lib.attention_forward(
            shape, strided_pointer(q), strided_pointer(k), strided_pointer(v),
            ids.pointer_or_null(first), pointer(y), pointer(lse), pointer(scratch),
        )
    return y, lse


def attention_backward(dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None):
    """As numpy_ref.attention_backward, float32."""
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    arrays, sizes = contracts.attention_backward.ready(dy, q, k, v, y, lse, first)
    dy, q, k, v, y, lse, first = arrays
    *_, H, D, Tk, Hkv = sizes
    checks.heads("attention", H, Hkv, D)
    first = _int64(first, Tk)
    if out is None:
        out = tuple(memory.empty(array.shape) for array in (q, k, v))
    # A target whose last axis has gaps is filled through a copy.
    grads = tuple(g if _has_contiguous_rows(g) else memory.empty(g.shape) for g in out)
    if k.size or q.size:
        shape = _shape(q, k, v, causal, scale, grads)
        scratch = memory.scratch(library.lib.attention_scratch(shape, 1))
        library.lib.attention_backward(
            shape, pointer(dy), strided_pointer(q), strided_pointer(k), strided_pointer(v),
            ids.pointer_or_null(first), pointer(y), pointer(lse),
            *map(strided_pointer, grads), pointer(scratch),
        )
    for target, grad in zip(out, grads, strict=True):
        if target is not grad:
            target[...] = grad
    return tuple(out)


def _shape(q, k, v, causal, scale, grads=()):
    """The C struct attention_shape; a model asks for the same few in every layer and step."""
    steps = tuple(strides(view)[:3] for view in (q, k, v, *grads))
    return _make_shape(library.current_isa(), q.shape, k.shape, steps, bool(causal), scale)


@lru_cache(maxsize=256)
def _make_shape(isa, q_shape, k_shape, steps, causal, scale):
    """isa: the struct belongs to that module, so it is part of the key."""
    (B, Tq, H, D), (_, Tk, Hkv, _) = q_shape, k_shape
    return library.ffi.new(
        "attention_shape *",
        {
            "B": B, "Tq": Tq, "Tk": Tk, "H": H, "Hkv": Hkv, "D": D,
            "causal": causal, "scale": 1 / math.sqrt(D) if scale is None else scale,
            **dict(zip(("q", "k", "v", "dq", "dk", "dv"), steps, strict=False)),
        },
    )


def _int64(first, Tk):
    """First keys as C reads them, or None.  Raises ValueError for one outside 0 to Tk."""
    checks.first_keys(first, Tk)
    return None if first is None else checks.int64(first)


def _has_contiguous_rows(array: np.ndarray) -> bool:
    return array.flags.aligned and array.strides[-1] == array.itemsize
