"""The Python side of muon.c: check, sort the matrices, call."""

from kernels import checks, contracts
from kernels.c import library
from kernels.c.library import pointer
from kernels.numpy_ref.muon import BEST, TINY, factors


def muon_update(
    params, grads, momenta, *, lr, momentum, weight_decay, rounds=BEST, grad_scale=1.0
):
    """As numpy_ref.muon_update, float32."""
    rows = contracts.muon.ready_rows(params, grads, momenta)
    rows = sorted(rows, key=_multiplications, reverse=True)  # a thread may end with a small one
    decay, _ = factors(lr, weight_decay, (1, 1))
    table = library.ffi.new(
        "muon_matrix[]",
        [
            (*map(pointer, arrays), *arrays[0].shape, factors(lr, weight_decay, arrays[0].shape)[1])
            for arrays in rows
        ],
    )
    if library.lib.muon_overlap(table, len(rows)):
        checks.lists_apart("muon", {"params": params, "momenta": momenta}, {"grads": grads})
    polynomials = library.ffi.new("float[]", [number for three in rounds for number in three])
    settings = library.ffi.new(
        "muon_factors *", (grad_scale, momentum, decay, TINY, polynomials, len(rounds))
    )
    room = library.scratch(library.lib.muon_scratch(table, len(rows)))
    library.lib.muon_update(table, len(rows), settings, room)


def _multiplications(arrays):
    """About in proportion to a matrix's."""
    short, long = sorted(arrays[0].shape)
    return short * short * (6 * short + long)
