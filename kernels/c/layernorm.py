"""The Python side of layernorm.c: check, allocate, call."""

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, pointer, pointer_or_null

BLOCKS = 16  # ranges of rows whose dweight and dbias are summed apart


def layernorm_forward(x, weight, bias=None, residual=None, eps=1e-5):
    """As numpy_ref.layernorm_forward, float32."""
    checks.same_shape("layernorm", x=x, residual=residual)
    checks.vector("layernorm", x.shape[-1], weight=weight, bias=bias)
    x, weight = contiguous("layernorm", x), contiguous("layernorm", weight)
    bias = None if bias is None else contiguous("layernorm", bias)
    residual = None if residual is None else contiguous("layernorm", residual)
    n = x.shape[-1]
    rows = x.size // n
    y, mean, rstd = memory.empty(x.shape), memory.empty((rows,)), memory.empty((rows,))
    s = x if residual is None else memory.empty(x.shape)
    library.lib.layernorm_forward(
        pointer(x), pointer_or_null(residual), pointer(weight), pointer_or_null(bias), eps,
        pointer(s), pointer(y), pointer(mean), pointer(rstd), rows, n,
    )
    return y, s, mean, rstd


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    """As numpy_ref.layernorm_backward, float32."""
    checks.same_shape("layernorm", dy=dy, s=s, ds=ds)
    checks.vector("layernorm", s.shape[-1], weight=weight)
    dy, s, weight = (contiguous("layernorm", array) for array in (dy, s, weight))
    ds = None if ds is None else contiguous("layernorm", ds)
    n = s.shape[-1]
    rows = s.size // n
    dx, dweight, dbias = memory.empty(s.shape), memory.empty((n,)), memory.empty((n,))
    library.lib.layernorm_backward(
        pointer(dy), pointer(s), pointer(weight), pointer(mean), pointer(rstd),
        pointer_or_null(ds), pointer(dx), pointer(dweight), pointer(dbias),
        pointer(memory.scratch(2 * BLOCKS * n)), BLOCKS, rows, n,
    )
    return dx, dweight, dbias
