"""The Python side of adamw.c: check, call."""

from kernels import checks
from kernels.c import library
from kernels.c.library import contiguous, pointer
from kernels.numpy_ref.adamw import factors


def adamw_update(
    params, grads, ms, vs, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):
    """As numpy_ref.adamw_update, float32; params, ms and vs must be C-contiguous (ValueError)."""
    grads = [contiguous("adamw", grad) for grad in grads]
    arrays = []
    for param, grad, m, v in zip(params, grads, ms, vs, strict=True):
        if not param.shape == grad.shape == m.shape == v.shape:
            checks.same_shape("adamw", param=param, grad=grad, m=m, v=v)
        for array in (param, m, v):
            if contiguous("adamw", array) is not array:
                checks.in_place("adamw", param=param, m=m, v=v)
        arrays.append((pointer(param), pointer(grad), pointer(m), pointer(v), param.size))
    library.lib.adamw_update(
        library.ffi.new("adamw_array[]", arrays), len(arrays),
        pack(lr, beta1, beta2, eps, weight_decay, step, grad_scale),
    )


def pack(*settings):
    """numpy_ref.adamw.factors as kernels.h's adamw_factors."""
    return library.ffi.new("adamw_factors *", factors(*settings))


def sum_of_squares(arrays):
    """As numpy_ref.sum_of_squares, float32: the squares are added in float64."""
    arrays = [contiguous("sum_of_squares", x) for x in arrays]
    listed = library.ffi.new("float_array[]", [(pointer(x), x.size) for x in arrays])
    return library.lib.sum_of_squares(listed, len(arrays))
