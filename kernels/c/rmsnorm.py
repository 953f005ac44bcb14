"""The Python side of rmsnorm.c: check, allocate, call."""

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, pointer, pointer_or_null

BLOCKS = 16  # ranges of rows whose dweight is summed apart


def rmsnorm_forward(x, weight, residual=None, eps=1e-5):
    """As numpy_ref.rmsnorm_forward, float32."""
    checks.same_shape("rmsnorm", x=x, residual=residual)
    checks.vector("rmsnorm", x.shape[-1], weight=weight)
    x, weight = contiguous("rmsnorm", x), contiguous("rmsnorm", weight)
    residual = None if residual is None else contiguous("rmsnorm", residual)
    n = x.shape[-1]
    rows = x.size // n
    y, rstd = memory.empty(x.shape), memory.empty((rows,))
    s = x if residual is None else memory.empty(x.shape)
    library.lib.rmsnorm_forward(
        pointer(x), pointer_or_null(residual), pointer(weight), eps,
        pointer(s), pointer(y), pointer(rstd), rows, n,
    )
    return y, s, rstd


def rmsnorm_backward(dy, s, weight, rstd, ds=None):
    """As numpy_ref.rmsnorm_backward, float32."""
    checks.same_shape("rmsnorm", dy=dy, s=s, ds=ds)
    checks.vector("rmsnorm", s.shape[-1], weight=weight)
    dy, s, weight = (contiguous("rmsnorm", array) for array in (dy, s, weight))
    ds = None if ds is None else contiguous("rmsnorm", ds)
    n = s.shape[-1]
    rows = s.size // n
    dx, dweight = memory.empty(s.shape), memory.empty((n,))
    library.lib.rmsnorm_backward(
        pointer(dy), pointer(s), pointer(weight), pointer(rstd), pointer_or_null(ds),
        pointer(dx), pointer(dweight), pointer(memory.scratch(BLOCKS * n)), BLOCKS, rows, n,
    )
    return dx, dweight
