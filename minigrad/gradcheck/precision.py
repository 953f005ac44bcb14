"""float32 against float64: an op that computes in float32 is held to its own float64 version.

Differences in float32 are useless (eps^(2/3) is 2e-5 at best, usually 1e-3), so nobody takes them:
float64 is checked with differences, float32 is checked against float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.gradcheck.problem import from_tensors
from minigrad.gradcheck.report import GradReport
from minigrad.gradcheck.trees import array, is_float, leaves

RTOL = 1e-4  # of the largest element: float32 rounds at 6e-8, sums of thousands reach 1e-5


def compare(report: GradReport, f: Callable[..., Any], args: Sequence[Any], rtol: float) -> None:
    """Run f and its backward in float32 too, if that is what the arguments were."""
    floats = [array(leaf) for _, leaf in leaves(tuple(args)) if is_float(leaf)]
    if report.status == "failed" or any(x.dtype != np.float32 for x in floats):
        return
    double, single = from_tensors(f, args), from_tensors(f, args, np.float32)
    rng = np.random.default_rng(report.seed)
    dys = [
        np.float32(rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape))
        for y in double.evaluate(double.xs)
    ]
    outputs, gradients = double.pullback(double.xs, list(dys))
    outputs32, gradients32 = single.pullback(single.xs, list(dys))
    pairs: list[tuple[str, np.ndarray | None, np.ndarray | None]]
    pairs = [(f"output {i}", a, b) for i, (a, b) in enumerate(zip(outputs, outputs32, strict=True))]
    pairs += [
        (f"the gradient of {name}", a, b)
        for name, a, b in zip(double.names, gradients, gradients32, strict=True)
    ]
    worst = 0.0
    for name, right, got in pairs:
        if right is None or got is None or not right.size:
            continue
        error = relative_error(got, right)
        worst = max(worst, error)
        if not error <= rtol:
            report.status = "failed"
            report.notes.append(
                f"float32: {name} differs from float64 by {error:.2g} of its largest element, "
                f"allowed {rtol:.2g}"
            )
    if report.status != "failed":
        report.notes.append(f"float32 agrees with float64 to {worst:.2g}, allowed {rtol:.2g}")


def relative_error(got: np.ndarray, right: np.ndarray) -> float:
    """Largest |got - right| over the largest |right|; inf where one is finite and one is not."""
    finite = np.isfinite(right)
    same = np.array_equal(np.isfinite(got), finite) and np.array_equal(got[~finite], right[~finite])
    if not same and not (np.isnan(got) == np.isnan(right)).all():
        return float("inf")
    size = float(np.abs(right[finite]).max(initial=0))
    off = float(np.abs(got[finite] - right[finite]).max(initial=0))
    return off / size if size else off
