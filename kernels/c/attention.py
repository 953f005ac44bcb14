"""The Python side of attention.c: check, allocate, call.

Errors against float64, with e = 2^-23 and S the largest |scaled score|, whose rounding carries
over: y 2 e (1 + S) max |v|; lse 4 e (1 + max(S, |lse|)); a gradient 4 e (1 + S) times the larger of
its largest value and its largest term (for dq, scale max |dy . v| max |k|). Found over T from 1 to
257 and D from 1 to 80 on every instruction set, where the worst were half of that.
"""

import math
from functools import lru_cache

import numpy as np

from kernels import checks, memory
from kernels.c import ids, library
from kernels.c.library import contiguous, pointer, strided_pointer, strides

BIAS_PADDING = 32  # floats behind each row of biases: a panel of queries reads past its end


def attention_forward(
    q, k, v, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    """As numpy_ref.attention_forward, float32."""
    checks.attention(q, k, v, first, last, bias, rotary)
    q, k, v = (_rows_contiguous(array) for array in (q, k, v))
    y = memory.empty(q.shape)
    lse = memory.empty((q.shape[0], q.shape[2], q.shape[1]))  # (B, H, Tq)
    if y.size:
        shape, sight = _shape(q, k, v, causal, scale), _Sight(first, last, bias, rotary)
        scratch = memory.scratch(library.lib.attention_scratch(shape, sight.struct, 0))
        library.lib.attention_forward(
            shape, sight.struct, strided_pointer(q), strided_pointer(k), strided_pointer(v),
            pointer(y), pointer(lse), pointer(scratch),
        )
    return y, lse


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    """As numpy_ref.attention_backward, float32."""
    checks.attention(q, k, v, first, last, bias, rotary)
    checks.same_shape("attention", dy=dy, q=q, y=y)
    q, k, v = (_rows_contiguous(array) for array in (q, k, v))
    dy, y, lse = (contiguous("attention", array) for array in (dy, y, lse))
    if out is None:
        out = tuple(memory.empty(array.shape) for array in (q, k, v))
    for name, target, like in zip(("dq", "dk", "dv"), out, (q, k, v), strict=True):
        checks.same_shape("attention", **{name: target, name[1:]: like})
    # A target whose last axis has gaps is filled through a copy.
    grads = tuple(g if _has_contiguous_rows(g) else memory.empty(g.shape) for g in out)
    sight = _Sight(first, last, bias, rotary)
    dbias = None if bias is None or not wants_bias else np.zeros(sight.bias.shape, np.float32)
    if k.size or q.size:
        shape = _shape(q, k, v, causal, scale, grads)
        scratch = memory.scratch(library.lib.attention_scratch(shape, sight.struct, 1))
        library.lib.attention_backward(
            shape, sight.struct, pointer(dy), strided_pointer(q), strided_pointer(k),
            strided_pointer(v), pointer(y), pointer(lse), *map(strided_pointer, grads),
            library.ffi.NULL if dbias is None else pointer(dbias), pointer(scratch),
        )
    for target, grad in zip(out, grads, strict=True):
        if target is not grad:
            target[...] = grad
    return tuple(out) if dbias is None else (*out, dbias[:, :-BIAS_PADDING])


class _Sight:
    """The C struct attention_sight, and the arrays whose memory it points to."""

    def __init__(self, first, last, bias, rotary):
        self.struct = library.ffi.new("attention_sight *")  # all NULL
        if first is not None:
            self.first = np.ascontiguousarray(first, np.int64)
            self.struct.first = ids.pointer(self.first)
        if last is not None:
            self.last = np.ascontiguousarray(last, np.int64)
            self.struct.last = ids.pointer(self.last)
        if bias is not None:
            self.bias = np.pad(contiguous("attention", bias), ((0, 0), (0, BIAS_PADDING)))
            self.struct.bias, self.struct.bias_step = pointer(self.bias), self.bias.shape[1]
        if rotary is not None:
            self.cos, self.sin = (contiguous("attention", table) for table in rotary)
            self.struct.cos, self.struct.sin = pointer(self.cos), pointer(self.sin)
            self.struct.turned = self.cos.shape[1]


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


def _has_contiguous_rows(array: np.ndarray) -> bool:
    return array.dtype == np.float32 and array.strides[-1] == array.itemsize


def _rows_contiguous(array: np.ndarray) -> np.ndarray:
    """The array itself if each row of its last axis is contiguous, else a copy."""
    return array if _has_contiguous_rows(array) else contiguous("attention", array)
