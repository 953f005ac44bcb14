"""Muon in Numba; derived in numpy_ref/muon.py.

The passes over param, grad and momentum are one each, as in c/muon.c. The products are NumPy's, for
matmul.py's reason.
"""

import numpy as np

from kernels import checks, contracts, memory
from kernels.numba_jit.jit import parallel, prange
from kernels.numpy_ref.muon import BEST, factors, orthogonalize


def muon_update(
    params, grads, momenta, *, lr, momentum, weight_decay, rounds=BEST, grad_scale=1.0
):
    """As numpy_ref.muon_update, float32."""
    rows = contracts.muon.ready_rows(params, grads, momenta)
    checks.lists_apart("muon", {"params": params, "momenta": momenta}, {"grads": grads})
    for param, grad, held in rows:
        ahead = memory.empty(param.shape)
        scale, keep = np.float32(grad_scale), np.float32(momentum)
        _look_ahead(grad.reshape(-1), held.reshape(-1), ahead.reshape(-1), scale, keep)
        direction = np.ascontiguousarray(orthogonalize(ahead, rounds))
        decay, rate = map(np.float32, factors(lr, weight_decay, param.shape))
        _move(param.reshape(-1), direction.reshape(-1), decay, rate)


@parallel
def _look_ahead(grad, held, ahead, scale, keep):
    for i in prange(grad.size):
        g = grad[i] * scale
        held[i] = held[i] * keep + g
        ahead[i] = held[i] * keep + g


@parallel
def _move(param, direction, decay, rate):
    for i in prange(param.size):
        param[i] = param[i] * decay - direction[i] * rate
