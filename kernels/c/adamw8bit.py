"""The Python side of adamw8bit.c: check, call."""

from kernels import contracts
from kernels.c import library
from kernels.c.adamw import pack
from kernels.c.library import ffi, pointer
from kernels.numpy_ref.adamw8bit import ROOT2, arrays


def adamw8bit_update(
    param, grad, m, m_scale, v, v_scale,
    *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0,
):
    """As numpy_ref.adamw8bit_update, float32."""
    contract = contracts.adamw8bit.ready
    (_, grad, *_), _ = arrays(param, grad, m, m_scale, v, v_scale, step, contract)
    library.lib.adamw8bit_update(
        pointer(param), pointer(grad),
        ffi.from_buffer("int8_t[]", m), pointer(m_scale),
        ffi.from_buffer("uint8_t[]", v), pointer(v_scale), param.size, step * ROOT2 % 2**32,
        pack(lr, beta1, beta2, eps, weight_decay, step, grad_scale),
    )
