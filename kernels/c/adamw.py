"""The Python side of adamw.c: check, call."""

from kernels import checks, contracts
from kernels.c import library
from kernels.c.library import pointer
from kernels.numpy_ref.adamw import check_apart, factors


def adamw_update(
    params, grads, ms, vs, *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0
):
    """As numpy_ref.adamw_update, float32."""
    checks.step("adamw", step)
    rows = contracts.adamw.ready_rows(params, grads, ms, vs)
    table = library.ffi.new(
        "adamw_array[]", [(*map(pointer, arrays), arrays[0].size) for arrays in rows]
    )
    if library.lib.adamw_overlap(table, len(rows)):
        check_apart(*zip(*rows, strict=True))
    library.lib.adamw_update(
        table, len(rows), pack(lr, beta1, beta2, eps, weight_decay, step, grad_scale)
    )


def pack(*settings):
    """numpy_ref.adamw.factors as kernels.h's adamw_factors."""
    return library.ffi.new("adamw_factors *", factors(*settings))


def sum_of_squares(arrays):
    """As numpy_ref.sum_of_squares, float32: the squares are added in float64."""
    rows = contracts.sum_of_squares.ready_rows(arrays)
    listed = library.ffi.new("float_array[]", [(pointer(x), x.size) for (x,) in rows])
    return library.lib.sum_of_squares(listed, len(rows))
