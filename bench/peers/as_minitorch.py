"""MiniTorch, made of minigrad: `pytest -p bench.peers.as_minitorch minitorch/tests`.

MiniTorch is a course in five modules: operators, scalars, tensors, fast tensors, networks. Its
names and habits (reductions keep their axis, comparisons give floats, a scalar's derivative) are
put on here over minigrad's operations and its engine; its gradient check is ours. Convolution and
pooling, which minigrad has not, are compositions of what it has. The list of functions that its
tests go through is in its own minitorch testing module, loaded from beside the tests.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import types
from pathlib import Path

import numba
import numpy as np

from bench.peers.tally import *  # noqa: F403  (the hooks)
from minigrad import Tensor as Base
from minigrad import check_grads, nn, ops
from minigrad.gradcheck.differences import differentiate


def leaf(value) -> Base:
    """A float64 leaf."""
    return Base(np.array(value, dtype=np.float64), requires_grad=True)


# Module 0: operators on floats, and the derivatives of three of them

def on_floats(f):
    """An operation as a function of floats."""
    return lambda *xs: float(f(*[Base(np.array(x, dtype=np.float64)) for x in xs]).data)


def backward_of(f):
    """(x, dy) -> dy f'(x)."""

    def back(x, dy):
        at = leaf(x)
        f(at).backward(np.array(dy, dtype=np.float64))
        return float(at.grad)

    return back


operators = types.ModuleType("minitorch.operators")
OPERATORS = {
    "mul": ops.mul, "add": ops.add, "neg": ops.neg, "lt": ops.lt, "eq": ops.eq,
    "max": ops.maximum, "sigmoid": ops.sigmoid, "relu": ops.relu, "exp": ops.exp,
    "log": lambda x: ops.log(x + 1e-6), "inv": ops.reciprocal, "id": lambda x: x,
    "is_close": lambda x, y: (x - y).abs() < 1e-2,
}
for name, f in OPERATORS.items():
    setattr(operators, name, on_floats(f))
for name in ("relu", "inv", "log"):
    setattr(operators, f"{name}_back", backward_of(OPERATORS[name]))
operators.sum = lambda xs: float(np.sum(ops.sum(Base(np.array(list(xs), dtype=np.float64))).data))
operators.prod = lambda xs: float(ops.prod(Base(np.array(list(xs), dtype=np.float64))).data)
operators.negList = lambda xs: (-Base(np.array(list(xs), dtype=np.float64))).data.tolist()
operators.addLists = lambda a, b: (
    Base(np.array(a, dtype=np.float64)) + Base(np.array(b, dtype=np.float64))).data.tolist()


# Module 1: scalars

class Context:
    """What a forward leaves for its backward."""

    def save_for_backward(self, *values):
        self.saved_values = values


class ScalarHistory:
    def __init__(self, last_fn=None, ctx=None, inputs=()):
        self.last_fn, self.ctx, self.inputs = last_fn, ctx, inputs


class Scalar:
    """A 0-d Tensor with MiniTorch's words; every operator of Tensor, through the same engine."""

    def __init__(self, value, back=None):
        self.tensor = value if isinstance(value, Base) else leaf(value)
        self.history = back

    data = property(lambda self: float(self.tensor.data))
    derivative = property(
        lambda self: None if self.tensor.grad is None else float(self.tensor.grad))

    def requires_grad_(self, requires_grad):
        self.tensor.requires_grad_(requires_grad)

    def backward(self, d_output=1.0):
        self.tensor.backward(np.array(d_output, dtype=np.float64))

    def chain_rule(self, d_output):
        """(input, derivative) for each input of the last function."""
        history = self.history
        grads = history.last_fn.backward(history.ctx, d_output)
        return list(zip(history.inputs, grads, strict=True))


class ScalarFunction:
    """A forward and backward of the user's own, as a node of minigrad's graph."""

    @classmethod
    def apply(cls, *values):
        inputs = [v if isinstance(v, Scalar) else Scalar(v) for v in values]
        ctx = Context()
        y = cls.forward(ctx, *[s.data for s in inputs])

        def backward(dy):
            return tuple(np.array(g) for g in cls.backward(ctx, float(dy)))

        made = Base(np.array(y, dtype=np.float64), [s.tensor for s in inputs], backward)
        return Scalar(made, ScalarHistory(cls, ctx, inputs))


# Module 2: tensors

class IndexingError(RuntimeError):
    pass


class TensorData:
    """Storage, shape and strides: a view of a NumPy array, strides counted in elements."""

    def __init__(self, storage, shape, strides=None):
        flat = np.array(storage, dtype=np.float64).reshape(-1)
        if strides is None:
            self.array = flat.reshape(shape)
        else:
            assert len(strides) == len(shape)
            self.array = np.lib.stride_tricks.as_strided(flat, shape, [8 * s for s in strides])

    shape = property(lambda self: self.array.shape)
    dims = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    strides = property(lambda self: tuple(s // 8 for s in self.array.strides))

    def is_contiguous(self):
        return self.array.flags.c_contiguous

    def index(self, index):
        if len(index) != self.dims or any(
                not 0 <= i < n for i, n in zip(index, self.shape, strict=True)):
            raise IndexingError(f"{index} in {self.shape}")
        return int(np.dot(index, self.strides))

    def indices(self):
        return iter(np.ndindex(self.shape))

    def sample(self):
        return tuple(0 for _ in self.shape)

    def permute(self, *order):
        made = TensorData([], (0,))
        made.array = self.array.transpose(order)
        return made

    def to_string(self):
        return str(self.array)


class Tensor:
    """A float64 Tensor with MiniTorch's words."""

    def __init__(self, data, backend=None):
        if isinstance(data, TensorData):
            data = Base(data.array)
        self.tensor = data if isinstance(data, Base) else leaf(data)

    shape = property(lambda self: self.tensor.shape)
    size = property(lambda self: int(self.tensor.size))
    dims = property(lambda self: self.tensor.ndim)
    _tensor = property(lambda self: TensorData(self.tensor.data, self.shape))
    grad = property(lambda self: None if self.tensor.grad is None else Tensor(
        Base(self.tensor.grad)))

    def requires_grad_(self, requires_grad):
        self.tensor.requires_grad_(requires_grad)

    def backward(self):
        self.tensor.backward(np.ones(self.shape))

    def __getitem__(self, index):
        return float(self.tensor.data[index])

    def item(self):
        return self.tensor.item()

    def to_numpy(self):
        return self.tensor.data

    def view(self, *shape):
        if not self.tensor.data.flags.c_contiguous:
            raise AssertionError("view needs contiguous data")
        return Tensor(self.tensor.view(*shape))

    def contiguous(self):
        return Tensor(self.tensor.reshape(-1).reshape(self.shape))

    def permute(self, *order):
        return Tensor(self.tensor.permute(*order))

    def _reduced(self, f, dim):
        if dim is None:
            return Tensor(f(self.tensor).reshape(1))
        return Tensor(f(self.tensor, axis=dim, keepdims=True))

    def sum(self, dim=None):
        return self._reduced(ops.sum, dim)

    def mean(self, dim=None):
        return self._reduced(ops.mean, dim)

    def all(self, dim=None):
        return Tensor(Base(np.array([float(self.tensor.data.all())])))

    def is_close(self, other):
        return Tensor(((self.tensor - other.tensor).abs() < 1e-2).astype(np.float64))


def lifted(f, kind):
    """A function of Tensors as one of the adapter's kind; comparisons give 1.0 and 0.0."""

    def call(*args):
        y = f(*[a.tensor if isinstance(a, kind) else a for a in args])
        return kind(y if y.dtype == np.float64 else y.astype(np.float64))

    return call


for kind in (Scalar, Tensor):
    for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "lt",
                 "gt", "eq", "matmul"):
        setattr(kind, f"__{name}__", lifted(getattr(Base, f"__{name}__"), kind))
    for name in ("relu", "sigmoid", "exp", "log"):
        setattr(kind, name, lifted(getattr(ops, name), kind))
    kind.__hash__ = object.__hash__


def tensor(values, backend=None, requires_grad=False):
    made = Tensor(Base(np.array(values, dtype=np.float64)))
    made.tensor.requires_grad_(requires_grad)
    return made


def shape_broadcast(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError as error:
        raise IndexingError(str(error)) from error


def grad_check(f, *tensors):
    """Ours. A gradient of zero, as of a comparison, is vacuous, and a kink is none of anybody's."""
    report = check_grads(
        lambda *xs: f(*[Tensor(x) for x in xs]).tensor, [t.tensor.data for t in tensors],
        seed=0, directions=1, raise_exception=False,
    )
    assert report.status in ("passed", "vacuous", "kink"), report


def derivative_check(f, *scalars):
    grad_check(lambda *xs: f(*[Scalar(x.tensor) for x in xs]),
               *[Tensor(s.tensor) for s in scalars])


def central_difference(f, *values, arg=0, epsilon=1e-6):
    def curve(t):
        moved = [v + t * (i == arg) for i, v in enumerate(values)]
        return np.array([f(*moved) - f(*values)]), np.array([1e-15])

    return float(differentiate(curve).value[0])


# Module 4: networks

class Parameter(nn.Parameter):
    """A number or a tensor that is trained."""

    __slots__ = ("value",)

    def __init__(self, value):
        number = isinstance(value, int | float)
        super().__init__(np.array(float(value) if number else 0.0))
        self.update(value)

    def update(self, value):
        self.value = value
        if hasattr(value, "requires_grad_"):
            value.requires_grad_(True)


class Module(nn.Module):
    def parameters(self):
        return list(super().parameters())

    def add_parameter(self, name, value):
        setattr(self, name, Parameter(value))
        return getattr(self, name)


def tiles(t, kernel):
    """(B, C, H/kh, W/kw, kh * kw)."""
    (b, c, h, w), (kh, kw) = t.shape, kernel
    parts = t.tensor.reshape(b, c, h // kh, kh, w // kw, kw).permute(0, 1, 2, 4, 3, 5)
    return parts.reshape(b, c, h // kh, w // kw, kh * kw)


def convolution(x, weight):
    """Anchored at the first element, zeros beyond the end. x: (B, C, ...), weight: (O, C, ...)."""
    sizes, kernel = x.shape[2:], weight.shape[2:]
    pads = [p for k in reversed(kernel) for p in (0, k - 1)]
    padded, total = ops.pad(x.tensor, pads), None
    for offset in itertools.product(*[range(k) for k in kernel]):
        part = padded[(..., *[slice(o, o + n) for o, n in zip(offset, sizes, strict=True)])]
        term = ops.einsum("bcn,oc->bon", part.reshape(*x.shape[:2], -1),
                          weight.tensor[(slice(None), slice(None), *offset)])
        total = term if total is None else total + term
    return Tensor(total.reshape(x.shape[0], weight.shape[0], *sizes))


def dropout(t, rate, ignore=False):
    if ignore:
        return t
    return Tensor(ops.dropout(t.tensor, rate, key=0))


def stub(*args, **named):
    return None


package = types.ModuleType("minitorch")
package.__dict__.update(
    operators=operators, Context=Context, Scalar=Scalar, ScalarFunction=ScalarFunction,
    ScalarHistory=ScalarHistory, Tensor=Tensor, TensorData=TensorData, tensor=tensor,
    IndexingError=IndexingError, shape_broadcast=shape_broadcast, grad_check=grad_check,
    derivative_check=derivative_check, central_difference=central_difference, Module=Module,
    Parameter=Parameter, TensorBackend=stub, SimpleBackend=None, SimpleOps=None, FastOps=None,
    UserIndex=tuple, UserShape=tuple, prod=operators.prod, dropout=dropout,
    rand=lambda shape, backend=None: Tensor(Base(np.random.default_rng(0).random(shape))),
    Conv1dFun=types.SimpleNamespace(apply=convolution),
    Conv2dFun=types.SimpleNamespace(apply=convolution),
    avgpool2d=lambda t, kernel: Tensor(tiles(t, kernel).mean(axis=-1)),
    maxpool2d=lambda t, kernel: Tensor(tiles(t, kernel).max(axis=-1)),
    max=lambda t, dim: Tensor(t.tensor.max(axis=int(dim), keepdims=True)),
    softmax=lambda t, dim: Tensor(ops.softmax(t.tensor.swapaxes(dim, -1)).swapaxes(dim, -1)),
    logsoftmax=lambda t, dim: Tensor(
        ops.log_softmax(t.tensor.swapaxes(dim, -1)).swapaxes(dim, -1)),
)
numba.cuda = types.SimpleNamespace(is_available=lambda: False)  # all that they ask of it
sys.modules.update({"minitorch": package, "minitorch.operators": operators})


def pytest_configure(config):
    """Load their list of functions, from the testing module beside the tests."""
    root = Path(config.rootpath)
    spec = importlib.util.spec_from_file_location(
        "minitorch.testing", (root / "minitorch" / "testing").with_suffix(".py"))
    testing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(testing)
    package.MathTest, package.MathTestVariable = testing.MathTest, testing.MathTestVariable
    package.testing = sys.modules["minitorch.testing"] = testing
