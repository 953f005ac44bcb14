"""Matrix product: NumPy's, because it is a BLAS.

A blocked product written in Numba reaches about a third of what NumPy's BLAS does (bench/LOG.md):
LLVM keeps no tile of the result in registers. So here Numba has nothing to add, and the product is
the reference itself. c/matmul.c tells how a BLAS is made.
"""

from kernels.numpy_ref.matmul import matmul_backward, matmul_forward

__all__ = ["matmul_backward", "matmul_forward"]
