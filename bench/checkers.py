"""`python -m bench checkers`: what checkers of gradients let through, and whom they accuse.

Every derivative of tests/minigrad/derivatives.py is wrapped as an operation of each framework, with
the very same forward and backward in NumPy, and handed to that framework's checker with its
defaults. A wrong one that passes is missed, a right one that does not is accused. MyGrad ships no
checker, so that there is nothing to call.

A vacuous check ("wrong ones would have been accepted too") and a kink accuse nobody, and pass
nobody either: ours are counted in a column of their own.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.minigrad import derivatives, singularities
from tests.minigrad.derivatives import Derivative

Verdict = str  # "passes", "accuses" or "neither"


def ours(derivative: Derivative, **options) -> Verdict:
    """minigrad.check_grads."""
    from minigrad import check_grads

    f = derivatives.as_tensors(derivative)
    report = check_grads(f, derivative.args, seed=0, raise_exception=False, **options)
    if report.status in ("vacuous", "kink"):
        return "neither"
    return "passes" if report.passed else "accuses"


def torch_function(derivative: Derivative):
    """The operation as a torch.autograd.Function on NumPy, and its arguments."""
    import torch

    operation = derivative.make()

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            y, ctx.back = operation(*[x.detach().numpy() for x in xs])
            return torch.from_numpy(np.asarray(y, dtype=np.float64))

        @staticmethod
        def backward(ctx, dy):
            return tuple(torch.from_numpy(np.asarray(g)) for g in ctx.back(dy.numpy()))

    xs = [torch.from_numpy(a.copy()).requires_grad_() for a in derivative.args]
    return Function.apply, xs


def torch_gradcheck(derivative: Derivative, fast_mode: bool = False) -> Verdict:
    """torch.autograd.gradcheck."""
    from torch.autograd import gradcheck

    f, xs = torch_function(derivative)
    try:
        gradcheck(f, xs, fast_mode=fast_mode)
    except (RuntimeError, ValueError):  # GradcheckError is a RuntimeError
        return "accuses"
    return "passes"


def jax_check(derivative: Derivative) -> Verdict:
    """jax.test_util.check_grads, reverse mode, in float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jax.test_util import check_grads

    operation = derivative.make()
    backwards: list[Callable] = []

    @jax.custom_vjp
    def f(*xs):
        return jax.numpy.asarray(operation(*[np.array(x) for x in xs])[0], dtype=np.float64)

    def forward(*xs):
        y, backward = operation(*[np.array(x) for x in xs])
        backwards.append(backward)
        return jax.numpy.asarray(y, dtype=np.float64), len(backwards) - 1

    def backward(index, dy):
        grads = backwards[int(index)](np.array(dy))
        return tuple(jax.numpy.asarray(g, dtype=np.float64) for g in grads)

    f.defvjp(forward, backward)
    try:
        check_grads(f, derivative.args, order=1, modes=["rev"])
    except (AssertionError, ValueError):
        return "accuses"
    return "passes"


def hips_check(derivative: Derivative) -> Verdict:
    """autograd.test_util.check_grads, reverse mode."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    operation = derivative.make()
    latest: list[Callable] = []

    @primitive
    def f(*xs):
        y, backward = operation(*xs)
        latest[:] = [backward]
        return np.asarray(y, dtype=np.float64)

    def vjp(argument):
        def make(ans, *xs):
            backward = latest[0]  # made by the forward that has just ended
            return lambda dy: np.asarray(backward(np.asarray(dy))[argument])

        return make

    defvjp(f, *[vjp(i) for i in range(len(derivative.args))])
    try:
        check_grads(f, modes=["rev"], order=1)(*[a.copy() for a in derivative.args])
    except (AssertionError, ValueError):
        return "accuses"
    return "passes"


CHECKERS: dict[str, tuple[str, Callable[[Derivative], Verdict]]] = {
    "minigrad": ("minigrad", ours),
    "minigrad, every entry": ("minigrad", lambda d: ours(d, directions="full")),
    "torch": ("torch", torch_gradcheck),
    "torch, fast mode": ("torch", lambda d: torch_gradcheck(d, fast_mode=True)),
    "JAX": ("jax", jax_check),
    "HIPS autograd": ("autograd", hips_check),
}
LARGE = 1000  # elements: every entry of a Jacobian of 10,000 x 10,000 fits no laptop


def verdict(name: str, derivative: Derivative) -> str:
    """"right", "missed", "accused", "neither", or "" for what is not tried."""
    if name == "JAX" and derivative.name.startswith("writes"):
        return ""  # its arrays cannot be written to: a copy is, and nobody is harmed
    size = sum(a.size for a in derivative.args)
    if size > LARGE and name in ("minigrad, every entry", "torch"):
        return ""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.random.seed(0)  # noqa: NPY002  (HIPS autograd draws from the global generator)
        said = CHECKERS[name][1](derivative)
    if said == "neither":
        return "neither"
    if derivative.right:
        return "right" if said == "passes" else "accused"
    return "missed" if said == "passes" else "right"


def installed() -> list[str]:
    """The checkers that can be played."""
    return [name for name, (module, _) in CHECKERS.items() if importlib.util.find_spec(module)]


def near_singularities(count: int, first: int) -> bool:
    """Right derivatives at random, ours only; whether none was accused."""
    told: dict[str, int] = {}
    for seed in range(first, first + count):
        drawn = singularities.near_singularity(np.random.default_rng(seed))
        with np.errstate(all="ignore"):
            said = ours(drawn, **({"directions": "full"} if seed % 3 == 0 else {}))
        told[said] = told.get(said, 0) + 1
        if said == "accuses":
            print(f"seed {seed}: {drawn.name} at {[a.tolist() for a in drawn.args]}", flush=True)
    print(f"{count} right derivatives near singularities from seed {first}: {told}")
    return "accuses" not in told


@click.command()
@click.option("--all", "everything", is_flag=True, help="The whole set, not the first two dozen.")
@click.option("--draw", default=0, help="Right derivatives near singularities instead, at random.")
@click.option("--seed", default=0, help="Of the first one drawn.")
def command(everything: bool, draw: int, seed: int) -> None:
    """Right and wrong derivatives against our checker and the public ones."""
    if draw:
        raise SystemExit(not near_singularities(draw, seed))
    played = derivatives.RIGHT + derivatives.WRONG if everything else derivatives.TWENTY_FOUR
    names = installed()
    said = {name: [verdict(name, d) for d in played] for name in names}
    table = Table("derivative", "", *names)
    for row, derivative in enumerate(played):
        kind = "right" if derivative.right else "wrong"
        shown = {"right": "", "missed": "[red]missed[/]", "accused": "[red]accused[/]",
                 "": "[dim]-[/]"}
        cells = [shown.get(said[name][row], said[name][row]) for name in names]
        table.add_row(derivative.name, kind, *cells)
    counts = [f"{v.count('missed')}/{v.count('accused')}" for v in said.values()]
    table.add_row("missed/accused", "", *counts)
    Console(width=None if Console().is_terminal else 140).print(table)
    for name, (module, _) in CHECKERS.items():
        if name not in names:
            print(f"{name}: {module} is not installed")
    bad = [v for v in said["minigrad"] if v in ("missed", "accused")]
    raise SystemExit(bool(bad))
