"""What a dense layer on packed weights passes back: the gradient of its input.

The weights are constants, so they have no gradient. The codes stand for a matrix W:

    y = W q(x)   =>   dx = W^T dy q'(x)

q is the identity for NF4. The others round x to 255 steps, a staircase whose derivative is 0
almost everywhere; backward passes through it as if it were the identity, q' = 1, because that is
what it is on average (the straight-through estimator). So adapters beside frozen quantized weights
can be trained through them (QLoRA, Dettmers et al. 2023).

Also written in: numba_jit/linear_packed.py, c/linear_packed.c, which never hold all of W in float.
Source of the estimator: Bengio, Leonard and Courville 2013, section 4.
"""

from kernels import checks, contracts
from kernels.packing import Packed, dequantize


def linear_packed_backward(dy, weight: Packed):
    """dx = dy W, the gradient of linear_<scheme>_forward.

    dy: (..., N) float; weight: Packed (N, K) of any scheme.
    Returns dx (..., K) of dy's dtype.  The bias's gradient is the sum of dy's rows, the residual's
    dy itself.  Raises ValueError for shapes that do not fit, TypeError for integers.
    """
    checks.packed("linear_packed", weight)
    contracts.linear_packed_backward.check(dy, N=weight.shape[0])
    # y_n = sum_k W_nk x_k   =>   dx_k = sum_n dy_n W_nk
    return dy @ dequantize(weight).astype(dy.dtype)  # (..., N) -> (..., K)
