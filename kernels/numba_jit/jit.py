"""How every Numba kernel is compiled: one place for the flags.

Compilation waits for the first call and is cached on disk. Division by zero gives inf, as in C.
Of the fast-math licences only two are taken: `contract` (fused multiply-add) and, where a loop
sums, `reassoc` (several partial sums at once). Neither touches -inf, nan or denormal numbers.
"""

from numba import njit, prange

__all__ = ["inline", "parallel", "prange", "serial"]

_FLAGS = {"cache": True, "error_model": "numpy", "nogil": True}

inline = njit(fastmath={"contract"}, **_FLAGS)  # element functions, inlined by LLVM
serial = njit(fastmath={"contract", "reassoc"}, **_FLAGS)
parallel = njit(fastmath={"contract", "reassoc"}, parallel=True, **_FLAGS)
