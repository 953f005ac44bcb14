"""The Python side of adamw8bit.c: check, call."""

from kernels.c import library
from kernels.c.adamw import pack
from kernels.c.library import contiguous, ffi, pointer
from kernels.numpy_ref.adamw8bit import ROOT2, check


def adamw8bit_update(
    param, grad, m, m_scale, v, v_scale,
    *, lr, beta1, beta2, eps, weight_decay, step, grad_scale=1.0,
):
    """As numpy_ref.adamw8bit_update, float32."""
    check(param, grad, m, m_scale, v, v_scale)
    param = contiguous("adamw8bit", param)  # checked: this asks for float32
    library.lib.adamw8bit_update(
        pointer(param), pointer(contiguous("adamw8bit", grad)),
        ffi.from_buffer("int8_t[]", m), pointer(m_scale),
        ffi.from_buffer("uint8_t[]", v), pointer(v_scale), param.size, step * ROOT2 % 2**32,
        pack(lr, beta1, beta2, eps, weight_decay, step, grad_scale),
    )
