"""The Python side of linear_packed.c: check, lend it room for a chunk of weights, call."""

from kernels import checks, contracts, memory
from kernels.c import library
from kernels.c.library import ffi, pointer
from kernels.c.matmul import scratch
from kernels.packing import NF4_LEVELS, PANEL, SCHEMES, Packed

CHUNK = 1 << 20  # weights that are floats at a time, 4 MB


def linear_packed_backward(dy, weight: Packed):
    """As numpy_ref.linear_packed_backward, float32."""
    checks.packed("linear_packed", weight)
    N, K = weight.shape
    (dy,), (rows, _) = contracts.linear_packed_backward.ready(dy, N=N)
    dx = memory.empty((*dy.shape[:-1], K))
    chunk = min(max(CHUNK // max(K, 1), PANEL), N)
    w = memory.empty((chunk, K))
    if not N:  # nothing to sum
        dx[...] = 0
    elif dx.size:
        library.lib.linear_packed_backward(
            pointer(dy), 1 + SCHEMES.index(weight.scheme),
            ffi.from_buffer("void *", weight.codes), ffi.from_buffer("void *", weight.scale),
            pointer(NF4_LEVELS), pointer(dx), rows, N, K, chunk, pointer(w), scratch(),
        )
    return dx
