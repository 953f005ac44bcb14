"""The kernels in Numba: nearly the C's speed for whoever has no compiler.

The same names, contracts and loops as c/, in Python. numpy_ref says what each operation means,
jit.py how these are compiled, cached and threaded.
"""

from kernels.numba_jit.gelu import gelu_backward, gelu_forward
from kernels.numba_jit.layernorm import layernorm_backward, layernorm_forward
from kernels.numba_jit.linear import linear_backward, linear_forward
from kernels.numba_jit.matmul import matmul_backward, matmul_forward
from kernels.numba_jit.softmax import softmax_backward, softmax_forward

__all__ = [
    "gelu_backward",
    "gelu_forward",
    "layernorm_backward",
    "layernorm_forward",
    "linear_backward",
    "linear_forward",
    "matmul_backward",
    "matmul_forward",
    "softmax_backward",
    "softmax_forward",
]
