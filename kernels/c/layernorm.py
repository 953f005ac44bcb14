"""The Python side of layernorm.c: check, allocate, call."""

from kernels import contracts, memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null

BLOCKS = 16  # ranges of rows whose dweight and dbias are summed apart


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    """As numpy_ref.layernorm_forward, float32."""
    contract = contracts.layernorm_forward
    (x, weight, bias, residual), (rows, n) = contract.ready(x, weight, bias, residual)
    y, mean, rstd = memory.empty(x.shape), memory.empty((rows,)), memory.empty((rows,))
    s = x if residual is None else memory.empty(x.shape)
    library.lib.layernorm_forward(
        pointer(x), pointer_or_null(residual), pointer(weight), pointer_or_null(bias), eps,
        pointer(s), pointer(y), pointer(mean), pointer(rstd), rows, n,
    )
    return y, s, mean, rstd


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    """As numpy_ref.layernorm_backward, float32."""
    arrays, (rows, n) = contracts.layernorm_backward.ready(dy, s, weight, mean, rstd, ds)
    dy, s, weight, mean, rstd, ds = arrays
    dx, dweight, dbias = memory.empty(s.shape), memory.empty((n,)), memory.empty((n,))
    library.lib.layernorm_backward(
        pointer(dy), pointer(s), pointer(weight), pointer(mean), pointer(rstd),
        pointer_or_null(ds), pointer(dx), pointer(dweight), pointer(dbias),
        library.scratch(2 * BLOCKS * n), BLOCKS, rows, n,
    )
    return dx, dweight, dbias
