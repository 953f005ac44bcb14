"""Differentiable operations: each forward stands next to its backward.

The first block is NumPy's vocabulary, written with NumPy. The second is the model's: one file an
operation, which calls `kernels.active` for both directions. The third has no gradient. At the end
PyTorch's names for the same functions and arguments are let in (names.py).
"""

from minigrad.ops import names
from minigrad.ops.arithmetic import (
    add,
    div,
    masked_fill,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    remainder,
    sub,
    where,
)
from minigrad.ops.einsum import einsum
from minigrad.ops.elementwise import (
    abs,
    astype,
    clip,
    clone,
    cos,
    exp,
    expm1,
    log,
    log1p,
    reciprocal,
    relu,
    rsqrt,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    square,
    tanh,
)
from minigrad.ops.joining import chunk, concatenate, split, stack, unbind
from minigrad.ops.losses import mse_loss
from minigrad.ops.reductions import cumsum, logsumexp, max, mean, min, norm, prod, std, sum, var
from minigrad.ops.shape import (
    broadcast_to,
    flatten,
    flip,
    gather,
    getitem,
    pad,
    permute,
    reshape,
    squeeze,
    swapaxes,
    t,
    tile,
    transpose,
    tril,
    triu,
    unsqueeze,
)

# isort: split
from minigrad.ops.attention import attention, self_attention
from minigrad.ops.cross_entropy import cross_entropy
from minigrad.ops.dropout import dropout
from minigrad.ops.embedding import embedding
from minigrad.ops.gelu import gelu
from minigrad.ops.layernorm import add_layernorm, layernorm
from minigrad.ops.linear import linear
from minigrad.ops.linear_cross_entropy import linear_cross_entropy
from minigrad.ops.linear_log_probability import linear_log_probability
from minigrad.ops.matmul import dot, matmul  # noqa: F401  (dot: see names.ALIASES)
from minigrad.ops.rmsnorm import add_rmsnorm, rmsnorm
from minigrad.ops.softmax import log_softmax, softmax

# isort: split
from minigrad.ops.constant import (
    all,
    allclose,
    any,
    argmax,
    argmin,
    argsort,
    ceil,
    eq,
    equal,
    floor,
    floor_divide,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
    one_hot,
    round,
    sign,
)

__all__ = [
    "abs", "add", "add_layernorm", "add_rmsnorm", "all", "allclose", "any", "argmax", "argmin",
    "argsort", "astype", "attention", "broadcast_to", "ceil", "chunk", "clip", "clone",
    "concatenate", "cos", "cross_entropy", "cumsum", "div", "dropout", "einsum", "embedding", "eq",
    "equal", "exp", "expm1", "flatten", "flip", "floor", "floor_divide", "gather", "ge", "gelu",
    "getitem", "gt", "isfinite", "isinf", "isnan", "layernorm", "le", "linear",
    "linear_cross_entropy", "linear_log_probability", "log", "log1p", "log_softmax", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logsumexp", "lt", "masked_fill", "matmul", "max",
    "maximum", "mean", "min", "minimum", "mse_loss", "mul", "ne", "neg", "norm", "one_hot", "pad",
    "permute", "pow", "prod", "reciprocal", "relu", "remainder", "reshape", "rmsnorm", "round",
    "rsqrt", "self_attention", "sigmoid", "sign", "silu", "sin", "softmax", "softplus", "split",
    "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "swapaxes", "t", "tanh", "tile",
    "transpose", "tril", "triu", "unbind", "unsqueeze", "var", "where",
]

# PyTorch's names, for those who type them: mypy does not see these, so minigrad does not use them.
for _other, _name in {**names.ALIASES, **{_name: _name for _name in __all__}}.items():
    globals()[_other] = names.accepting(_other, globals()[_name])
