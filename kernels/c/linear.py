"""The Python side of linear.c: check, allocate, call."""

from kernels import checks, contracts, memory
from kernels.c import library
from kernels.c.library import pointer, pointer_or_null
from kernels.c.matmul import scratch

_NUMBERS = {None: 0} | {name: 1 + i for i, name in enumerate(checks.ACTIVATIONS)}
# linear's activation -> its number, and whether it is a gate
KINDS = {name: (number, 0) for name, number in _NUMBERS.items()} | {
    name: (_NUMBERS[act], 1) for name, act in checks.GATED.items()
}


def linear_forward(x, weight, bias=None, activation=None, residual=None):
    """As numpy_ref.linear_forward, float32."""
    checks.activation(activation)
    kind, gated = KINDS[activation]
    contract = contracts.linear_gated_forward if gated else contracts.linear_forward
    arrays, sizes = contract.ready(x, weight, bias, residual)
    x, weight, bias, residual = arrays
    (outside, inside), rows = weight.shape, sizes[0]
    checks.halves(gated, x, inside)
    y = memory.empty((*x.shape[:-1], outside))
    if y.size:
        library.lib.linear_forward(
            pointer(x), pointer(weight), pointer_or_null(bias), pointer_or_null(residual),
            kind, gated, pointer(y), rows, inside, outside, scratch(),
        )
    return y


def activate_forward(x, activation):
    """As numpy_ref.activate_forward, float32."""
    checks.activation(activation)
    kind, gated = KINDS[activation]
    (x,), (rows, C) = contracts.activate_forward.ready(x)
    checks.even(gated, x)
    y = memory.empty((*x.shape[:-1], C >> gated))
    library.lib.activate_forward(pointer(x), kind, gated, pointer(y), rows, C >> gated)
    return y


def activate_backward(da, x, activation):
    """As numpy_ref.activate_backward, float32."""
    checks.activation(activation)
    kind, gated = KINDS[activation]
    (da, x), (rows, n, _) = contracts.activate_backward.ready(da, x)
    checks.same_rows(gated, da, x)
    dx = memory.empty(x.shape)
    library.lib.activate_backward(pointer(da), pointer(x), kind, gated, pointer(dx), rows, n)
    return dx


def linear_backward(dy, x, weight, activation=None, bias=None, wants=(True, True, True)):
    """As numpy_ref.linear_backward, float32."""
    checks.activation(activation)
    kind, gated = KINDS[activation]
    contract = contracts.linear_gated_backward if gated else contracts.linear_backward
    arrays, sizes = contract.ready(dy, x, weight, bias)
    dy, x, weight, bias = arrays
    (outside, inside), rows = weight.shape, sizes[0]
    checks.input_for(wants, x, activation)
    checks.halves(gated, x, inside)
    dx = memory.empty((*dy.shape[:-1], inside << gated)) if wants[0] else None
    dweight = memory.empty(weight.shape) if wants[1] else None
    dbias = memory.empty((outside,)) if wants[2] and bias is not None else None
    if not dy.size:  # no rows or no outputs: every sum is empty
        for total in (dx, dweight, dbias):
            if total is not None:
                total[...] = 0
        return dx, dweight, dbias
    library.lib.linear_backward(
        pointer(dy), pointer_or_null(x), pointer(weight), kind, gated,
        pointer_or_null(dx), pointer_or_null(dweight), pointer_or_null(dbias),
        rows, inside, outside, scratch(),
    )
    return dx, dweight, dbias
