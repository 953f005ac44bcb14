"""The Python side of matmul_int8.c: check, allocate, call."""

from __future__ import annotations

import numpy as np

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, ffi, pointer, pointer_or_null
from kernels.packing import Packed


def buffer(kind: str, array: np.ndarray | None):
    """A pointer `kind *` to a C-contiguous array of any dtype."""
    return ffi.from_buffer(f"{kind}[]", array)


def epilogue(op: str, rows_shape, n: int, bias, residual):
    """Checked (bias, residual) of a dense layer."""
    if bias is not None:
        checks.vector(op, n, bias=bias)
        bias = contiguous(op, bias)
    if residual is not None:
        if residual.shape != (*rows_shape, n):
            raise ValueError(f"{op}: residual {residual.shape} must be {(*rows_shape, n)}")
        residual = contiguous(op, residual)
    return bias, residual


def ready_floats(k: int) -> int:
    """Floats that hold a row of k codes made ready: at most two bytes each, 16 at a time."""
    return 8 * -(-k // 16)


def quantize_rows(x):
    """As numpy_ref.quantize_rows, float32."""
    x = contiguous("quantize_rows", x)
    q, scale = np.empty(x.shape, np.int8), np.empty(x.shape[:-1], np.float32)
    if scale.size:
        library.lib.quantize_rows(
            pointer(x), buffer("int8_t", q), pointer(scale), scale.size, x.shape[-1]
        )
    return q, scale


def matmul_int8(x, weight: Packed):
    """As numpy_ref.matmul_int8."""
    checks.packed("matmul_int8", x, weight, "int8")
    if x.dtype != np.int8:
        raise TypeError(f"matmul_int8: x must be int8, not {x.dtype}")
    x = np.ascontiguousarray(x)
    N, K = weight.shape
    y = np.empty((*x.shape[:-1], N), np.int32)
    rows = y.size // N
    scratch = memory.empty((rows * ready_floats(K),))
    library.lib.matmul_int8(
        buffer("int8_t", x), buffer("int8_t", weight.codes), buffer("int32_t", weight.offset),
        buffer("int32_t", y), rows, N, K, buffer("int8_t", scratch),
    )
    return y


def linear_int8_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_int8_forward, float32."""
    checks.packed("linear_int8", x, weight, "int8")
    x = contiguous("linear_int8", x)
    N, K = weight.shape
    bias, residual = epilogue("linear_int8", x.shape[:-1], N, bias, residual)
    y = memory.empty((*x.shape[:-1], N))
    rows = y.size // N
    scratch = memory.empty((rows * (1 + ready_floats(K)),))
    library.lib.linear_int8_forward(
        pointer(x), buffer("int8_t", weight.codes), pointer(weight.scale),
        buffer("int32_t", weight.offset), pointer_or_null(bias), pointer_or_null(residual),
        pointer(y), rows, N, K, pointer(scratch),
    )
    return y
