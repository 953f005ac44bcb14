"""tinygrad's Tensor is minigrad's: `pytest -p bench.peers.as_tinygrad FILE`.

Its test_ops module compares every operation, forward and backward, with PyTorch. Each comparison is
counted by itself; what has another name here (dim, keepdim and the like are understood) is
unsupported, and no operation is written for the occasion.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types

import numpy as np

import minigrad
from bench.peers import tally
from bench.peers.tally import *  # noqa: F403  (the hooks)
from minigrad import Tensor, ops


class Names(types.SimpleNamespace):
    """Stands for what their test file asks of a device before it runs."""

    def __getattr__(self, name):
        return {"renderer": self, "supported_dtypes": lambda: ()}.get(name)

    def __getitem__(self, name):
        return self


def gradient(self: Tensor, *leaves: Tensor) -> list[Tensor]:
    """d(self)/d(leaves), as Tensors."""
    for leaf in leaves:
        leaf.grad = None
    self.backward()
    return [Tensor(np.zeros_like(x.data) if x.grad is None else x.grad) for x in leaves]


def helper_test_op(
    shapes, torch_f, our_f=None, atol=1e-6, rtol=1e-3, grad_atol=1e-4, grad_rtol=1e-3,
    forward_only=False, vals=None, low=-2, high=2,
):
    """Their comparison of one operation with PyTorch's, counted."""
    import torch

    our_f = our_f or torch_f
    theirs, arrays = inputs(shapes, vals, low, high, forward_only)
    expected = torch_f(*theirs)
    differentiable = not forward_only and bool(theirs)
    ours = [minigrad.tensor(a, requires_grad=differentiable and a.dtype.kind == "f")
            for a in arrays]
    try:
        got = our_f(*ours)
        grads = gradient(got.sum(), *ours) if differentiable else []
        values = [got.numpy(), *(g.numpy() for g in grads)]
    except tally.REFUSALS + (RuntimeError, AssertionError) as error:
        tally.refused(error)
        return
    right = [expected]
    if differentiable:
        right += torch.autograd.grad(torch_f(*theirs).sum(), theirs)
    try:
        for k, (a, b) in enumerate(zip(values, right, strict=True)):
            b = b.detach().cpu().numpy()
            assert a.shape == b.shape, f"shape {a.shape}, PyTorch {b.shape}"
            tolerance = {"atol": grad_atol if k else atol, "rtol": grad_rtol if k else rtol}
            np.testing.assert_allclose(a, b, **tolerance)
    except AssertionError as error:
        tally.differs(error)
        return
    tally.counts["right"] += 1


def inputs(shapes, vals, low, high, forward_only):
    """The numbers they draw, as torch tensors and as arrays."""
    import torch

    if shapes is None:
        theirs = [torch.tensor(x, requires_grad=not forward_only) for x in vals]
    else:
        np.random.seed(0)  # noqa: NPY002
        drawn = [np.random.uniform(low, high, s).astype(np.float32) for s in shapes]  # noqa: NPY002
        theirs = [torch.tensor(a, requires_grad=not forward_only) for a in drawn]
    return theirs, [t.detach().numpy() for t in theirs]


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        item.module.helper_test_op = helper_test_op
        item.cls.helper_test_exception = lambda self, *args, **kwargs: None  # which class, no value


def sample(f):
    """PyTorch's and tinygrad's divisor, n - 1, where none is asked for (docs/pytorch.md)."""
    return lambda x, *args, **named: f(
        x, *args, **(named if {"correction", "unbiased"} & set(named) else {**named, "ddof": 1}))


Tensor.var, Tensor.std = sample(ops.var), sample(ops.std)
Tensor.realize = lambda self: self
Tensor.gradient = gradient
for name in ("zeros", "ones", "arange", "randn", "rand", "full", "eye", "linspace", "zeros_like",
             "ones_like"):
    if hasattr(minigrad, name):
        setattr(Tensor, name, staticmethod(getattr(minigrad, name)))
Tensor.stack = lambda *xs, dim=0: ops.stack(xs, dim)
Tensor.cat = lambda *xs, dim=0: ops.concatenate(xs, dim)
for name in ops.__all__:
    if not hasattr(Tensor, name):
        setattr(Tensor, name, getattr(ops, name))

package = types.ModuleType("tinygrad")
package.Tensor, package.Device, package.dtypes = Tensor, Names(DEFAULT="CPU"), Names(
    float32=np.float32, int32=np.int32, int64=np.int64, float=np.float32, int=np.int32,
    bool=np.bool_, default_float=np.float32, default_int=np.int32, uint8=np.uint8, int8=np.int8,
)
helpers = types.ModuleType("tinygrad.helpers")
helpers.getenv = lambda name, default=0: type(default)(os.environ.get(name, default))
helpers.DEBUG, helpers.DEV, helpers.IMAGE = 0, Names(interface="", renderer=""), 0
helpers.Context = lambda **kwargs: contextlib.nullcontext()
inner = types.ModuleType("tinygrad.tensor")
inner._to_np_dtype = lambda dtype: dtype
nir = types.ModuleType("tinygrad.renderer.nir")
nir.NIRRenderer = type("NIRRenderer", (), {})
sys.modules.update({
    "tinygrad": package, "tinygrad.helpers": helpers, "tinygrad.tensor": inner,
    "tinygrad.renderer": types.ModuleType("tinygrad.renderer"), "tinygrad.renderer.nir": nir,
})
