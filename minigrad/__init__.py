"""Reverse-mode automatic differentiation over NumPy arrays, with the kernels of `kernels`.

    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                               # array([2., 4.], dtype=float32)

Read next: tensor.py, engine.py, then nn/.
"""

from kernels import get_num_threads, how_to_get_c, in_use, report, set_num_threads, use, using
from kernels.memory import empty
from minigrad import nn, ops, optim
from minigrad.engine import enable_grad, is_grad_enabled, no_grad
from minigrad.gradcheck import GradientError, GradReport, check_grads, check_vjp
from minigrad.ops import (
    attention,
    concatenate,
    cross_entropy,
    dropout,
    embedding,
    gelu,
    layernorm,
    linear,
    linear_cross_entropy,
    linear_log_probability,
    matmul,
    maximum,
    minimum,
    rmsnorm,
    self_attention,
    softmax,
    split,
    stack,
    where,
)
from minigrad.recompute import draw_key, recompute
from minigrad.tensor import Tensor, tensor

__all__ = [
    "GradReport", "GradientError", "Tensor", "attention", "check_grads", "check_vjp",
    "concatenate", "cross_entropy", "draw_key", "dropout", "embedding", "empty", "enable_grad",
    "gelu", "get_num_threads", "how_to_get_c", "in_use", "is_grad_enabled", "layernorm", "linear",
    "linear_cross_entropy", "linear_log_probability", "matmul", "maximum", "minimum", "nn",
    "no_grad", "ops", "optim",
    "recompute", "report", "rmsnorm", "self_attention", "set_num_threads", "softmax", "split",
    "stack", "tensor", "use", "using", "where",
]
