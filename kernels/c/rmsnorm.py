"""The Python side of rmsnorm.c: check, allocate, call."""

from kernels import contracts, memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null

BLOCKS = 16  # ranges of rows whose dweight is summed apart


def rmsnorm_forward(x, weight, residual=None, eps=1e-5):
    """As numpy_ref.rmsnorm_forward, float32."""
    (x, weight, residual), (rows, n) = contracts.rmsnorm_forward.ready(x, weight, residual)
    y, rstd = memory.empty(x.shape), memory.empty((rows,))
    s = x if residual is None else memory.empty(x.shape)
    library.lib.rmsnorm_forward(
        pointer(x), pointer_or_null(residual), pointer(weight), eps,
        pointer(s), pointer(y), pointer(rstd), rows, n,
    )
    return y, s, rstd


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    """As numpy_ref.rmsnorm_backward, float32."""
    arrays, (rows, n) = contracts.rmsnorm_backward.ready(dy, s, weight, rstd, ds)
    dy, s, weight, rstd, ds = arrays
    dx, dweight = memory.empty(s.shape), memory.empty((n,))
    library.lib.rmsnorm_backward(
        pointer(dy), pointer(s), pointer(weight), pointer(rstd), pointer_or_null(ds),
        pointer(dx), pointer(dweight), library.scratch(BLOCKS * n), BLOCKS, rows, n,
    )
    return dx, dweight
