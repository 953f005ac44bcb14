"""The Python side of linear.c: check, allocate, call."""

from kernels import checks, memory
from kernels.c import library
from kernels.c.library import contiguous, pointer, pointer_or_null
from kernels.c.matmul import scratch

ACTIVATIONS = {None: 0} | {name: 1 + i for i, name in enumerate(checks.ACTIVATIONS)}
# linear's activation -> its number, and whether it is a gate
_KINDS = {name: (number, 0) for name, number in ACTIVATIONS.items()} | {
    name: (ACTIVATIONS[act], 1) for name, act in checks.GATED.items()
}


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """As numpy_ref.linear_forward, float32."""
    kind, gated = _KINDS.get(activation, (0, 0))
    if activation not in _KINDS or weight.ndim != 2 or (
        x.shape[-1:] != (weight.shape[1] << gated,)
    ):
        checks.linear(x, weight, bias, residual, activation)
    outside, inside = weight.shape
    x, weight = contiguous("linear", x), contiguous("linear", weight)
    shape = (*x.shape[:-1], outside)
    if bias is not None or residual is not None:
        checks.linear(x, weight, bias, residual, activation)
        bias = None if bias is None else contiguous("linear", bias)
        residual = None if residual is None else contiguous("linear", residual)
    y = memory.empty(shape)
    if y.size:
        library.lib.linear_forward(
            pointer(x), pointer(weight), pointer_or_null(bias), pointer_or_null(residual),
            kind, gated, pointer(y), y.size // outside, inside, outside, pointer(scratch()),
        )
    return y


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    """As numpy_ref.linear_backward, float32."""
    checks.linear_backward(dy, x, weight, activation, wants)
    (outside, inside), (kind, gated) = weight.shape, _KINDS[activation]
    dy, weight = contiguous("linear", dy), contiguous("linear", weight)
    x = None if x is None else contiguous("linear", x)
    dx = memory.empty((*dy.shape[:-1], inside << gated)) if wants[0] else None
    dweight = memory.empty(weight.shape) if wants[1] else None
    dbias = memory.empty((outside,)) if wants[2] and bias is not None else None
    if not dy.size:  # no rows: every sum is empty
        for total in (dweight, dbias):
            if total is not None:
                total[...] = 0
        return dx, dweight, dbias
    library.lib.linear_backward(
        pointer(dy), pointer_or_null(x), pointer(weight), kind, gated,
        pointer_or_null(dx), pointer_or_null(dweight), pointer_or_null(dbias),
        dy.size // outside, inside, outside, pointer(scratch()),
    )
    return dx, dweight, dbias
