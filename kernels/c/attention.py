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

BIAS_PADDING = 32  # floats behind each row of biases: a panel of queries reads past its end


def attention_forward(
    q, k, v, causal=True, scale=None, first=None, last=None, bias=None, rotary=None
):
    """As numpy_ref.attention_forward, float32."""
    cos, sin = rotary or (None, None)
    arrays, sizes = contracts.attention_forward.ready(q, k, v, first, last, bias, cos, sin)
    checks.attention(sizes, first, last)
    q, k, v = arrays[:3]
    y = memory.empty(q.shape)
    lse = memory.empty((q.shape[0], q.shape[2], q.shape[1]))  # (B, H, Tq)
    if y.size:
        shape, sight = _shape(q, k, v, causal, scale), _Sight(*arrays[3:])
        scratch = library.scratch(library.lib.attention_scratch(shape, sight.struct, 0))
        library.lib.attention_forward(
            shape, sight.struct, strided_pointer(q), strided_pointer(k), strided_pointer(v),
            pointer(y), pointer(lse), scratch,
        )
    return y, lse


def attention_backward(
    dy, q, k, v, y, lse, causal=True, scale=None, out=None, first=None, last=None, bias=None,
    rotary=None, wants_bias=True,
):
    """As numpy_ref.attention_backward, float32."""
    if out is not None:
        check_gradients(q, k, out, (dy, v, y, lse))
    given = (dy, q, k, v, y, lse, first, last, bias, *(rotary or (None, None)))
    arrays, sizes = contracts.attention_backward.ready(*given)
    checks.attention(sizes, first, last)
    dy, q, k, v, y, lse = arrays[:6]
    if out is None:
        out = tuple(memory.empty(array.shape) for array in (q, k, v))
    # A target whose last axis has gaps is filled through a copy.
    grads = tuple(g if _has_contiguous_rows(g) else memory.empty(g.shape) for g in out)
    sight = _Sight(*arrays[6:])
    dbias = None if bias is None or not wants_bias else np.zeros(sight.bias.shape, np.float32)
    if k.size or q.size:
        shape = _shape(q, k, v, causal, scale, grads)
        scratch = library.scratch(library.lib.attention_scratch(shape, sight.struct, 1))
        library.lib.attention_backward(
            shape, sight.struct, pointer(dy), strided_pointer(q), strided_pointer(k),
            strided_pointer(v), pointer(y), pointer(lse), *map(strided_pointer, grads),
            library.ffi.NULL if dbias is None else pointer(dbias), scratch,
        )
    for target, grad in zip(out, grads, strict=True):
        if target is not grad:
            target[...] = grad
    return tuple(out) if dbias is None else (*out, dbias[:, :-BIAS_PADDING])


class _Sight:
    """The C struct attention_sight, and the arrays whose memory it points to.

    The arrays as a contract has made them ready; None for what decides nothing.
    """

    def __init__(self, first, last, bias, cos, sin):
        self.struct = library.ffi.new("attention_sight *")  # all NULL
        if first is not None:
            self.first = checks.int64(first)
            self.struct.first = ids.pointer(self.first)
        if last is not None:
            self.last = checks.int64(last)
            self.struct.last = ids.pointer(self.last)
        if bias is not None:
            self.bias = np.pad(bias, ((0, 0), (0, BIAS_PADDING)))
            self.struct.bias, self.struct.bias_step = pointer(self.bias), self.bias.shape[1]
        if cos is not None:
            self.cos, self.sin = cos, sin
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
    return array.flags.aligned and array.strides[-1] == array.itemsize
