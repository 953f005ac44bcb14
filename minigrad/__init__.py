"""Reverse-mode automatic differentiation over NumPy arrays, with the kernels of `kernels`.

    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                               # array([2., 4.], dtype=float32)

Read next: tensor.py, engine.py, then nn/.  For people who know PyTorch: docs/pytorch.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from numpy import bool_, float32, float64, int32, int64

from kernels import get_num_threads, how_to_get_c, in_use, report, set_num_threads, use, using
from kernels.cgroups import control_groups
from kernels.memory import empty
from kernels.threads import get_num_workers
from minigrad import methods, nn, ops, optim
from minigrad.creation import (
    arange,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    zeros,
    zeros_like,
)
from minigrad.engine import enable_grad, is_grad_enabled, no_grad
from minigrad.nn.module import Parameter
from minigrad.ops import *  # noqa: F403
from minigrad.recompute import draw_key, recompute
from minigrad.tensor import Tensor, tensor

if TYPE_CHECKING:
    from minigrad.gradcheck import GradientError, GradReport, check_grads, check_vjp

methods.bind()
globals().update({_name: getattr(ops, _name) for _name in ops.names.ALIASES})  # PyTorch's: cat, mm

__all__ = [
    "GradReport", "GradientError", "Parameter", "Tensor", "arange", "bool_", "check_grads",
    "check_vjp", "draw_key", "empty", "enable_grad", "eye", "float32", "float64", "full",
    "full_like", "get_num_threads", "how_to_get_c", "in_use", "int32", "int64",
    "is_grad_enabled", "linspace", "nn", "no_grad", "ones", "ones_like", "ops", "optim", "rand",
    "randint", "randn", "randperm", "recompute", "report", "set_num_threads", "tensor", "use",
    "using", "zeros", "zeros_like",
    "control_groups", "get_num_workers",
]
__all__ += ops.__all__
_CHECKER = ("gradcheck", "GradientError", "GradReport", "check_grads", "check_vjp")

# What PyTorch has and minigrad has not, on purpose, and what to write instead.
_INSTEAD = {
    "manual_seed": "there is no global seed; pass rng=0 where something is drawn",
    "save": "write the arrays of model.state_dict() with numpy.savez",
    "load": "read arrays with numpy.load, and model.load_state_dict(them)",
    "from_numpy": "write Tensor(array), which shares the array's memory",
    "device": "minigrad computes on the CPU; leave devices out",
    "cuda": "minigrad computes on the CPU; leave devices out",
    "set_grad_enabled": "write `with no_grad():` or `with enable_grad():`",
    "inference_mode": "write `with no_grad():`",
    "autograd": "call loss.backward() and read x.grad",
    "vmap": "write the operation for a leading axis",
    "compile": "operations are compiled already; leave it out",
    "topk": "write x.argsort(axis) and x.gather(axis, index)",
    "sort": "write x.gather(axis, x.argsort(axis))",
    "multinomial": "draw from x.data with a numpy Generator: rng.choice(n, p=p)",
}


def __getattr__(name: str) -> Any:
    if name in _CHECKER:  # imported when it is asked for: a tenth of the time to import minigrad
        checker = import_module("minigrad.gradcheck")
        return checker if name == "gradcheck" else getattr(checker, name)
    instead = _INSTEAD.get(name)
    raise AttributeError(
        f"module 'minigrad' has no attribute '{name}'{': ' + instead if instead else ''}"
    )
