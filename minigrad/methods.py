"""A Tensor's methods: the functions of minigrad.ops, bound by a table.

`x.exp()` is ops.exp(x), and `x.view(2, 3)` is ops.reshape(x, (2, 3)). So a method is documented,
tested and differentiated where its function is, and a new operation needs one word here.

Read next: ops/names.py for PyTorch's names, numpy_protocol.py for NumPy's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from minigrad import numpy_protocol, ops
from minigrad.tensor import Tensor

# Methods with the function's own arguments.
SAME = (
    "abs absolute add all allclose amax amin any argmax argmin argsort astype bmm ceil chunk "
    "clamp clip clone cos cumsum div divide dot eq equal exp expm1 flatten floor floor_divide "
    "gather ge gelu gt isfinite isinf isnan le log log1p log_softmax logical_and logical_not "
    "logical_or logical_xor logsumexp lt masked_fill matmul max maximum mean min minimum mm mul "
    "multiply mv ne neg negative norm pow prod reciprocal relu remainder round rsqrt sigmoid sign "
    "sin softmax split sqrt square squeeze std sub subtract sum swapaxes t tanh transpose tril "
    "triu unbind unsqueeze var"
)
# Methods whose sizes or axes may stand alone: x.view(2, 3), x.view((2, 3)), x.permute(1, 0).
SPREAD = "broadcast_to expand flip permute repeat reshape tile view"
# Conversions, by the name of the result's dtype.
DTYPES = {"float": np.float32, "double": np.float64, "long": np.int64, "int": np.int32,
          "bool": np.bool_}

# What PyTorch has and minigrad has not, on purpose, and what to write instead.
INSTEAD = {
    "cuda": "minigrad computes on the CPU; leave .cuda() out",
    "half": "minigrad computes in float32 (float64 for checks); leave .half() out",
    "bfloat16": "minigrad computes in float32 (float64 for checks); leave .bfloat16() out",
    "register_hook": "give the closure of an operation of your own: Tensor(y, (x,), backward)",
    "retain_grad": "only leaves keep a gradient; make one with detach().requires_grad_()",
    "zero_": "write x[...] = 0 under no_grad()",
    "fill_": "write x[...] = value under no_grad()",
    "copy_": "write x[...] = y under no_grad()",
    "add_": "write x += y under no_grad()",
    "sub_": "write x -= y under no_grad()",
    "mul_": "write x *= y under no_grad()",
    "div_": "write x /= y under no_grad()",
    "clamp_": "write x[...] = x.clip(low, high) under no_grad()",
    "masked_fill_": "write x[mask] = value under no_grad(), or x.masked_fill(mask, value)",
    "uniform_": "write x[...] = minigrad.rand(*x.shape, rng=0) under no_grad()",
    "normal_": "write x[...] = minigrad.randn(*x.shape, rng=0) under no_grad()",
    "topk": "write x.argsort(axis) and x.gather(axis, index)",
    "sort": "write x.gather(axis, x.argsort(axis))",
    "index_select": "index with the integers: x[index], x[:, index]",
    "outer": "write minigrad.einsum('i,j->ij', x, y)",
    "scatter_": "add up one_hot rows with matmul, or write x[index] = y under no_grad()",
}


class Refused:
    """An attribute that is not there, and says what to write instead."""

    def __init__(self, name: str, instead: str):
        self.text = f"'Tensor' has no attribute '{name}': {instead}"

    def __get__(self, *of: Any) -> Any:
        raise AttributeError(self.text)


def _spread(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """f(x, (a, b)) as the method x.f(a, b), which also takes the tuple itself."""

    @wraps(function)
    def method(self: Tensor, *sizes: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            return function(self, *sizes, **kwargs)
        whole = len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer))
        return function(self, tuple(sizes[0]) if whole else sizes)

    return method


def _conversion(dtype: type) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return self if self.data.dtype == dtype else ops.astype(self, dtype)

    method.__doc__ = f"In {np.dtype(dtype)}; itself if it is already."
    return method


def to(self: Tensor, target: Any) -> Tensor:
    """In another dtype, or in that of another Tensor; "cpu" is where it is already.

    Raises RuntimeError for another device.
    """
    if isinstance(target, Tensor):
        target = target.dtype
    if isinstance(target, str) and target.partition(":")[0] in ("cpu", "cuda", "mps", "xpu"):
        if target != "cpu":
            raise RuntimeError(f"minigrad computes on the CPU; leave .to({target!r}) out")
        return self
    return self if self.data.dtype == np.dtype(target) else ops.astype(self, target)


def itself(self: Tensor) -> Tensor:
    """This tensor: it is on the CPU, and what an operation needs contiguous it makes so."""
    return self


def dim(self: Tensor) -> int:
    """The number of axes."""
    return self.data.ndim


def numel(self: Tensor) -> int:
    """The number of elements."""
    return self.data.size


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of another tensor."""
    return ops.reshape(self, other.shape)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """Broadcast to the shape of another tensor."""
    return ops.broadcast_to(self, other.shape)


def bind() -> None:
    """Give Tensor its methods."""
    for name in SAME.split():
        setattr(Tensor, name, getattr(ops, name))
    for name in SPREAD.split():
        setattr(Tensor, name, _spread(getattr(ops, name)))
    for name, dtype in DTYPES.items():
        setattr(Tensor, name, _conversion(dtype))
    for method in (to, dim, numel, view_as, expand_as):
        setattr(Tensor, method.__name__, method)
    for name in ("cpu", "contiguous"):
        setattr(Tensor, name, itself)
    for name, instead in INSTEAD.items():
        setattr(Tensor, name, Refused(name, instead))
    numpy_protocol.bind()
