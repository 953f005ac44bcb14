"""autograd.numpy, made of minigrad's operations: `pytest -p bench.peers.as_autograd tests/...`.

HIPS's operator tests hand functions of autograd.numpy to check_grads. Here each name is the
operation of minigrad with that name where an argument is a Tensor, and NumPy's own where none is;
the value is compared with NumPy's on the way, and check_grads is ours. A name that minigrad has not
is unsupported, complex numbers and second derivatives are left out.
"""

from __future__ import annotations

import itertools
import sys
import types

import numpy

from bench.peers import tally
from bench.peers.tally import *  # noqa: F403  (the hooks)
from minigrad import GradientError, Tensor, check_grads, ops
from minigrad.gradcheck.trees import leaves, rebuild

RENAMED = {"divide": "div", "true_divide": "div", "multiply": "mul", "subtract": "sub",
           "negative": "neg", "power": "pow", "absolute": "abs", "amax": "max", "amin": "min",
           "ravel": "flatten", "transpose": "permute", "mod": "remainder"}


def has_tensor(tree) -> bool:
    """Whether a Tensor stands anywhere in some arguments."""
    return any(isinstance(leaf, Tensor) for _, leaf in leaves(tree))


def values(tree):
    """The same arguments as arrays."""
    return rebuild(tree, [x.data if isinstance(x, Tensor) else x for _, x in leaves(tree)])


class AutogradNumpy(types.ModuleType):
    """NumPy for arrays, minigrad for Tensors, by name."""

    def __getattr__(self, name):
        original = getattr(numpy, name)
        if not callable(original) or isinstance(original, type):
            return original

        def call(*args, **named):
            if not has_tensor((args, named)):
                return original(*args, **named)
            ours = getattr(ops, RENAMED.get(name, name), None)
            if ours is None:
                raise NotImplementedError(f"numpy.{name}")
            got = ours(*args, **named)
            right = original(*values(args), **values(named))
            for (_, a), b in zip(leaves(got), right if isinstance(got, tuple) else (right,),
                                 strict=True):
                numpy.testing.assert_allclose(values(a), b, rtol=1e-10, atol=1e-12, err_msg=name)
            return got

        call.__name__ = name
        return call


def checked(f, modes=None, order=2):
    """autograd.test_util.check_grads(f)(*args), counted."""

    def check(*args, **named):
        arrays = [numpy.asarray(a) if isinstance(a, float) else a for a in args]
        kinds = {numpy.asarray(leaf).dtype.kind for _, leaf in leaves(tuple(arrays))}
        if "c" in kinds or "f" not in kinds:
            tally.counts["left out (complex or integers)"] += 1
            return
        try:
            report = check_grads(lambda *xs: f(*xs, **named), arrays, seed=0, raise_exception=False)
            if report.status == "failed":
                raise GradientError(report)
        except AssertionError as error:
            tally.differs(error)
        except (*tally.REFUSALS, RuntimeError) as error:
            tally.refused(error)
        else:
            tally.counts["right"] += 1
            if not report.passed:
                tally.counts[f"of them {report.status}"] += 1

    return check


def combo_check(f, argnums, modes=None, order=2):
    """check_grads for every combination of arguments and options."""

    def check(*arguments, **options):
        for args in itertools.product(*arguments):
            for chosen in itertools.product(*options.values()):
                named = dict(zip(options, chosen, strict=True))

                def of_some(*xs, args=args, named=named):
                    given = list(args)
                    for k, x in zip(argnums, xs, strict=True):
                        given[k] = x
                    return f(*given, **named)

                checked(of_some)(*[args[k] for k in argnums])

    return check


def unsupported(name):
    def call(*args, **named):
        raise NotImplementedError(f"autograd.{name}")

    return call


def module(name, **contents):
    """A module of that name in sys.modules."""
    made = AutogradNumpy(name) if name == "autograd.numpy" else types.ModuleType(name)
    made.__dict__.update(contents, __path__=[])
    sys.modules[name] = made
    return made


linalg = module("autograd.numpy.linalg", **{
    name: unsupported(f"numpy.linalg.{name}") for name in dir(numpy.linalg) if name[0] != "_"
})
fft = module("autograd.numpy.fft")
sys.modules["autograd.numpy.random"] = numpy.random
np = module("autograd.numpy", random=numpy.random, linalg=linalg, fft=fft,
            __version__=numpy.__version__)
test_util = module("autograd.test_util", check_grads=checked, combo_check=combo_check,
                   check_equivalent=unsupported("check_equivalent"),
                   check_vjp=unsupported("check_vjp"), scalar_close=numpy.isclose)
module("autograd", numpy=np, test_util=test_util, **{
    name: unsupported(name) for name in
    ("grad", "deriv", "value_and_grad", "jacobian", "hessian", "tuple", "make_vjp")
})
module("autograd.extend", primitive=lambda f: f)
module("autograd.core", primitive_vjps={})
