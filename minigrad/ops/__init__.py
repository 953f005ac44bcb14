"""Differentiable operations: each forward stands next to its backward.

The first block is NumPy's vocabulary, written with NumPy. The second is the model's: one file an
operation, which calls `kernels.active` for both directions.
"""

from minigrad.ops.arithmetic import (
    add,
    div,
    masked_fill,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sub,
    where,
)
from minigrad.ops.attention import attention, self_attention
from minigrad.ops.cross_entropy import cross_entropy
from minigrad.ops.dropout import dropout
from minigrad.ops.elementwise import abs, astype, clip, exp, log, relu, sigmoid, sqrt, tanh
from minigrad.ops.embedding import embedding
from minigrad.ops.gelu import gelu
from minigrad.ops.layernorm import add_layernorm, layernorm
from minigrad.ops.linear import linear
from minigrad.ops.linear_cross_entropy import linear_cross_entropy
from minigrad.ops.linear_log_probability import linear_log_probability
from minigrad.ops.matmul import matmul
from minigrad.ops.reductions import max, mean, min, sum, var
from minigrad.ops.rmsnorm import add_rmsnorm, rmsnorm
from minigrad.ops.shape import (
    broadcast_to,
    concatenate,
    getitem,
    permute,
    reshape,
    split,
    stack,
    swapaxes,
    transpose,
)
from minigrad.ops.softmax import softmax

__all__ = [
    "abs", "add", "add_layernorm", "add_rmsnorm", "astype", "attention", "broadcast_to", "clip",
    "concatenate", "cross_entropy", "div", "dropout", "embedding", "exp", "gelu", "getitem",
    "layernorm", "linear", "linear_cross_entropy", "linear_log_probability", "log", "masked_fill",
    "matmul", "max", "maximum", "mean", "min", "minimum", "mul", "neg", "permute", "pow", "relu",
    "reshape", "rmsnorm", "self_attention", "sigmoid", "softmax", "split", "sqrt", "stack", "sub",
    "sum", "swapaxes", "tanh", "transpose", "var", "where",
]
