"""matmul, differentiable.  What it means: kernels/numpy_ref/matmul.py."""

from __future__ import annotations

import numpy as np

from kernels import active
from minigrad.ops.arithmetic import operands
from minigrad.ops.dense import dense
from minigrad.tensor import Operand, Tensor


def matmul(a: Operand, b: Operand) -> Tensor:
    """a @ b.  a: (..., M, K), b: (..., K, N), leading axes broadcast; vectors as in NumPy.

    Views with the last two axes swapped are read in place.
    """
    a, b = operands("matmul", a, b)
    if a.ndim == 1 and b.ndim >= 1:  # a row: (K,) -> (1, K), and drop the axis again
        return matmul(a.reshape(1, -1), b if b.ndim > 1 else b.reshape(-1, 1)).reshape(
            (*b.shape[:-2], b.shape[-1]) if b.ndim > 1 else ()
        )
    if b.ndim == 1:
        return matmul(a, b.reshape(-1, 1)).reshape(a.shape[:-1])
    u, v = _readable(a), _readable(b)
    return Tensor(active.matmul_forward(u, v), (a, b), lambda dy: active.matmul_backward(dy, u, v))


def dot(a: Operand, b: Operand) -> Tensor:
    """matmul of vectors and matrices.

    Raises ValueError for more axes, where NumPy's dot is another product and PyTorch has none.
    """
    if max(np.ndim(a), np.ndim(b)) > 2:
        raise ValueError(
            f"dot: of vectors and matrices, not {np.shape(a)} and {np.shape(b)}; write a @ b for "
            "products of stacked matrices, or einsum"
        )
    return matmul(a, b)


def _readable(x: Tensor) -> np.ndarray:
    """C-contiguous, or so once the last two axes are swapped back."""
    return x.data if x.ndim > 1 and x.data.swapaxes(-1, -2).flags.c_contiguous else dense(x)
