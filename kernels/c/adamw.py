"""The Python side of adamw.c: check, call."""

from kernels import checks
from kernels.c import library
from kernels.c.library import contiguous, pointer
from kernels.numpy_ref.adamw import factors


def adamw_update(
    param, grad, m, v, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):  # fmt: skip
    """As numpy_ref.adamw_update, float32; param, m and v must be C-contiguous (ValueError)."""
    checks.same_shape("adamw", param=param, grad=grad, m=m, v=v)
    for name, array in (("param", param), ("m", m), ("v", v)):
        if contiguous("adamw", array) is not array:
            raise ValueError(f"adamw: {name} {array.shape} is updated in place: make it contiguous")
    library.lib.adamw_update(
        pointer(param), pointer(contiguous("adamw", grad)), pointer(m), pointer(v), param.size,
        pack(lr, beta1, beta2, eps, weight_decay, step, grad_scale),
    )  # fmt: skip


def pack(*settings):
    """numpy_ref.adamw.factors as kernels.h's adamw_factors."""
    return library.ffi.new("adamw_factors *", factors(*settings))


def sum_of_squares(x):
    """As numpy_ref.sum_of_squares, float32: the squares are added in float64."""
    x = contiguous("sum_of_squares", x)
    return library.lib.sum_of_squares(pointer(x), x.size)
