"""The Python side of matmul_int8.c: check, allocate, call."""

from __future__ import annotations

import numpy as np

from kernels import checks, contracts, memory
from kernels.c import library
from kernels.c.library import ffi, pointer, pointer_or_null
from kernels.packing import Packed


def buffer(kind: str, array: np.ndarray | None):
    """A pointer `kind *` to a C-contiguous array of any dtype."""
    return ffi.from_buffer(f"{kind}[]", array)


def ready(scheme: str, x, weight, bias, residual):
    """((x, bias, residual), (rows, K, N)) for linear_<scheme>_forward."""
    checks.packed(f"linear_{scheme}", weight, scheme)
    N, K = weight.shape
    return contracts.linear_packed[scheme].ready(x, bias, residual, N=N, K=K)


def ready_floats(k: int) -> int:
    """Floats that hold a row of k codes made ready: at most two bytes each, 16 at a time."""
    return 8 * -(-k // 16)


def quantize_rows(x):
    """As numpy_ref.quantize_rows, float32."""
    (x,), (rows, K) = contracts.quantize_rows.ready(x)
    q, scale = np.empty(x.shape, np.int8), np.empty(x.shape[:-1], np.float32)
    if rows:
        library.lib.quantize_rows(pointer(x), buffer("int8_t", q), pointer(scale), rows, K)
    return q, scale


def matmul_int8(x, weight: Packed):
    """As numpy_ref.matmul_int8."""
    checks.packed("matmul_int8", weight, "int8")
    N, K = weight.shape
    (x,), (rows, _) = contracts.matmul_int8.ready(x, K=K)
    y = np.empty((*x.shape[:-1], N), np.int32)
    scratch = memory.empty((rows * ready_floats(K),))
    library.lib.matmul_int8(
        buffer("int8_t", x), buffer("int8_t", weight.codes), buffer("int32_t", weight.offset),
        buffer("int32_t", y), rows, N, K, buffer("int8_t", scratch),
    )
    return y


def linear_int8_forward(x, weight: Packed, bias=None, residual=None):
    """As numpy_ref.linear_int8_forward, float32."""
    (x, bias, residual), (rows, K, N) = ready("int8", x, weight, bias, residual)
    y = memory.empty((*x.shape[:-1], N))
    scratch = memory.empty((rows * (1 + ready_floats(K)),))
    library.lib.linear_int8_forward(
        pointer(x), buffer("int8_t", weight.codes), pointer(weight.scale),
        buffer("int32_t", weight.offset), pointer_or_null(bias), pointer_or_null(residual),
        pointer(y), rows, N, K, pointer(scratch),
    )
    return y
