"""The Python side of matmul.c: strides and batches become pointers and offsets."""

import math

import numpy as np

from kernels import checks, contracts, memory, threads
from kernels.c import library
from kernels.c.library import ffi, pointer, strided_pointer


def matmul_forward(a, b):
    """As numpy_ref.matmul_forward, float32."""
    (a, b), _ = contracts.matmul_forward.ready(a, b)
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one tall product instead of a batch
        c = memory.empty((*a.shape[:-1], b.shape[1]))
        _product(a.reshape(-1, a.shape[-1]), b, c)
        return c
    leading = a.shape[:-2] if a.ndim == b.ndim == 2 else checks.leading(a, b)
    c = memory.empty((*leading, a.shape[-2], b.shape[-1]))
    _product(a, b, c, leading)
    return c


def matmul_backward(dc, a, b):
    """As numpy_ref.matmul_backward, float32."""
    (dc, a, b), _ = contracts.matmul_backward.ready(dc, a, b)
    checks.gradient_of_product(dc, a, b)
    da = matmul_forward(dc, b.swapaxes(-1, -2))  # (..., M, N) (..., N, K) -> (..., M, K)
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous and dc.flags.c_contiguous:
        # b met every row of a: its gradient is one product that sums over all of them.
        rows, dc_rows = a.reshape(-1, a.shape[-1]), dc.reshape(-1, dc.shape[-1])
        return da, matmul_forward(rows.T, dc_rows)
    db = matmul_forward(a.swapaxes(-1, -2), dc)
    return _sum_to(da, a.shape), _sum_to(db, b.shape)


def scratch():
    """`float *` to room for one product on the whole team, as gemm.h asks for."""
    return library.scratch(library.lib.gemm_scratch(threads.get_num_threads()))


def _product(a, b, c, leading=()):
    """c = a b; a, b: (..., M, K), (..., K, N) views, c contiguous (*leading, M, N)."""
    (M, K), N = a.shape[-2:], b.shape[-1]
    if not c.size:
        return
    a_row, a_inner = a.strides[-2:]
    b_inner, b_column = b.strides[-2:]
    batch = math.prod(leading) if leading else 1
    library.lib.matmul(
        _address(a), _offsets(a, leading), a_row >> 2, a_inner >> 2,
        _address(b), _offsets(b, leading), b_inner >> 2, b_column >> 2,
        pointer(c), batch, M, N, K, library.scratch(library.lib.matmul_scratch(batch)),
    )


def _address(array):
    """`float *` to the first element: for a whole array, transposed or not, the quick way."""
    if array.flags.c_contiguous:
        return pointer(array)
    return pointer(array.T) if array.flags.f_contiguous else strided_pointer(array)


def _offsets(array, leading):
    """Where each product of the batch begins in `array`, in elements: int64_t[batch]."""
    if not leading:
        return _AT_ZERO
    at = np.zeros(leading, np.int64)
    for axis, (size, step) in enumerate(
        zip(array.shape[-3::-1], array.strides[-3::-1], strict=True)
    ):
        if size > 1:  # a repeated axis adds nothing
            shape = (size,) + (1,) * axis
            at += (np.arange(size) * (step // 4)).reshape(shape)
    return ffi.from_buffer(library.INT64_POINTER, at)


_AT_ZERO = ffi.from_buffer(library.INT64_POINTER, np.zeros(1, np.int64))


def _sum_to(grad, shape):
    """Sum grad over the axes along which an array of `shape` was repeated."""
    if grad.shape == shape:
        return grad
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=repeated, keepdims=True) if repeated else grad
