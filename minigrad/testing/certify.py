"""The chain of trust for one call of one operation.

differences   float64, the NumPy reference    certifies the reference's forward and backward
reference     float32, each backend           each fast version against the reference in float64
mixed         one backend's forward, another's backward: what is saved belongs to the contract
(PyTorch      float64, an oracle that shares no code: tests/oracles.py)
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

import kernels
from minigrad import engine
from minigrad.gradcheck import GradReport, check_grads
from minigrad.gradcheck.trees import array, is_float, leaves, rebuild
from minigrad.testing.registry import Case, Op

REFERENCE = "numpy"
FLOOR = 2e-6  # float32 rounds at 6e-8; fast exp and tanh and another order of sums come on top
LEAST = 1e-2  # gradients below this are compared absolutely (cotangents are about 1)
SLACK = 8  # a fast version may round this many times worse than the float32 reference does


def backends() -> dict[str, str]:
    """Backend or "c:isa" -> "ready", or the reason why it cannot run here."""
    found = {}
    for name in kernels.BACKENDS:
        try:
            module = kernels.load(name)
        except RuntimeError as error:
            found[name] = str(error)
            continue
        if name == "c":
            found.update({f"c:{isa}": why for isa, why in module.available_isas().items()})
        else:
            found[name] = "ready"
    return found


def running(backend: str) -> AbstractContextManager[None]:
    """A with block in which one backend ("numpy", "numba", "c:avx2", ...) answers."""
    name, _, isa = backend.partition(":")
    return kernels.using(name, isa or None)


def against_differences(op: Op, case: Case, seed: int = 0, **options: Any) -> GradReport:
    """check_grads of the reference; raises nothing."""
    options = {"order": 2 if op.smooth else 1, "directions": 2, **options}
    with running(REFERENCE):
        return check_grads(
            lambda *args: op.call(case, args), case.args, seed=seed,
            raise_exception=False, **options,
        )


def values_and_gradients(
    op: Op, case: Case, dtype: type, forward: str = REFERENCE, backward: str | None = None
) -> list[np.ndarray]:
    """Outputs, then gradients of all floating arguments, for cotangents fixed by the shapes."""
    with running(forward):
        inputs, outputs = op.forward(case, dtype)
    rng = np.random.default_rng(1)
    dys = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]
    with running(backward or forward):
        kept = [(y, dy.astype(y.dtype)) for y, dy in zip(outputs, dys, strict=True)
                if y.requires_grad]
        engine.backward([y for y, _ in kept], [dy for _, dy in kept])
    grads = [np.zeros_like(x.data) if x.grad is None else x.grad for x in inputs]
    return [y.data for y in outputs] + grads


def against_reference(
    op: Op, case: Case, forward: str, backward: str | None = None
) -> tuple[float, float]:
    """(worst error, allowed at that place) of a fast version in float32, relative to the largest
    element of each array.

    What float32 costs is measured, not guessed: the reference runs in float32 too, and a fast
    version may be SLACK times further off than that, or FLOOR.
    """
    case = _rounded(case)
    right = values_and_gradients(op, case, np.float64)
    plain = values_and_gradients(op, case, np.float32)
    got = values_and_gradients(op, case, np.float32, forward, backward)
    worst = (0.0, FLOOR)
    for r, p, g in zip(right, plain, got, strict=True):
        if g.shape != r.shape or g.dtype != p.dtype:
            return float("inf"), 0.0
        allowed = max(FLOOR, SLACK * error(p, r, LEAST))
        worst = max(worst, (error(g, r, LEAST), allowed), key=lambda pair: pair[0] / pair[1])
    return worst


def error(got: np.ndarray, right: np.ndarray, least: float) -> float:
    """max |got - right| / max |right|; inf if nan or inf stand in different places.

    least: the smallest max |right| to be relative to: where the right answer is 0, what is left is
    rounding of terms of ordinary size that cancel.
    """
    finite = np.isfinite(right)
    if not np.array_equal(got[~finite].astype(right.dtype), right[~finite], equal_nan=True):
        return float("inf")
    if not np.isfinite(got[finite]).all():
        return float("inf")
    size = float(np.abs(right[finite]).max(initial=least))
    return float(np.abs(got[finite] - right[finite]).max(initial=0)) / size


def _rounded(case: Case) -> Case:
    """The same call with values that float32 holds exactly, so that all see the same numbers."""

    def rounded(x: Any) -> Any:
        return array(x).astype(np.float32).astype(np.float64, order="K") if is_float(x) else x

    def over(tree: Any) -> Any:
        return rebuild(tree, [rounded(x) for _, x in leaves(tree)])

    return Case(over(case.args), over(case.settings))
