"""check_grads and check_vjp: the public checks.

Read first: docs/gradients.md.  Then manners.py, compare.py, differences.py, kinks.py, mutations.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigrad.gradcheck import kinks as kink_search
from minigrad.gradcheck import locate, manners, mutations, precision, second
from minigrad.gradcheck.compare import Comparison, along, everywhere
from minigrad.gradcheck.differences import ANY, SMOOTH
from minigrad.gradcheck.point import Point, Tolerance
from minigrad.gradcheck.problem import Problem, from_arrays, from_tensors
from minigrad.gradcheck.report import GradientError, GradReport
from minigrad.tensor import Tensor

RTOL = 1e-7  # of the norm; differences in float64 reach 1e-10 and say so when they do not


@dataclass(frozen=True)
class Settings:
    """What check_grads was asked for; its docstring says what each means."""

    order: int
    directions: int | Literal["full"]
    eps: float | Literal["auto"]
    atol: float | None
    rtol: float | None
    kinks: Literal["detect", "ignore"]
    min_power: float
    seed: int | None

    def __post_init__(self) -> None:
        if self.order not in (1, 2):
            raise ValueError(f"check_grads: order must be 1 or 2, not {self.order!r}")
        full = self.directions == "full"
        if not full and not (isinstance(self.directions, int) and self.directions >= 1):
            raise ValueError(
                f"check_grads: directions must be >= 1 or 'full', not {self.directions!r}"
            )
        if self.kinks not in ("detect", "ignore"):
            raise ValueError(f"check_grads: kinks must be 'detect' or 'ignore', not {self.kinks!r}")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    *,
    order: int = 1,
    modes: Sequence[str] = ("rev",),
    directions: int | Literal["full"] = 4,
    eps: float | Literal["auto"] = "auto",
    atol: float | None = None,
    rtol: float | None = None,
    kinks: Literal["detect", "ignore"] = "detect",
    min_power: float = 0.99,
    seed: int | None = None,
    raise_exception: bool = True,
) -> GradReport:
    """Compare the gradients of f with finite differences in float64.

    f: takes and returns Tensors, also nested in tuples, lists and dicts; it must give the same
        result each time (fix the key of a dropout). A Module is checked with its parameters.
    args: the list of its arguments, Tensors, arrays or nests of them (or a single array). Floating
        ones are differentiated, in float64 whatever they are; float32 ones are also run in float32
        and compared with that.
    order: 1, or 2 to check also how the gradient changes (see second.py for what that covers).
    modes: only "rev"; minigrad has no forward mode.
    directions: random directions for each argument, each with its own random cotangent; or
        "full" to compare every entry of the Jacobian.
    eps: "auto" searches the best step, a number fixes it.
    atol, rtol: allowed difference; rtol (None: 1e-7) is relative to the norm of the terms added
        up, and neither grows with the size of an array. Three times the estimated error of the
        differences is added, and `power` judges whether that is still sharp.
    kinks: "detect" takes points without a derivative out and reports them; "ignore" does not look.
    min_power: part of the deliberately wrong gradients that must be caught; below, the check is
        vacuous. 0 switches it off.
    seed: of all random numbers; None draws one, and the report names it.
    Returns a GradReport. Raises GradientError (an AssertionError) if it failed or was vacuous and
    raise_exception holds, ValueError for an argument that makes no sense.
    """
    if set(modes) != {"rev"}:
        raise ValueError(f"check_grads: modes {modes!r}: minigrad differentiates in ('rev',) only")
    settings = Settings(order, directions, eps, atol, rtol, kinks, min_power, seed)
    args = _listed(args)
    report = _check(from_tensors(f, args), settings)
    precision.compare(report, f, args, max(rtol or 0.0, precision.RTOL))
    return _finish(report, raise_exception)


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    args: Sequence[Any],
    *,
    order: int = 1,
    directions: int | Literal["full"] = 4,
    eps: float | Literal["auto"] = "auto",
    atol: float | None = None,
    rtol: float | None = None,
    kinks: Literal["detect", "ignore"] = "detect",
    min_power: float = 0.99,
    seed: int | None = None,
    raise_exception: bool = True,
) -> GradReport:
    """The same for two plain NumPy functions, from whatever framework they come.

    f(*args) -> array or nest of arrays.  vjp(dy, *args) -> the gradients of <dy, f(*args)>: one
    array, or a tuple in the order of args (None, or left out, for integer arguments).
    The other arguments are those of check_grads.
    """
    settings = Settings(order, directions, eps, atol, rtol, kinks, min_power, seed)
    return _finish(_check(from_arrays(f, vjp, _listed(args)), settings), raise_exception)


def _listed(args: Any) -> Sequence[Any]:
    """The arguments; a single array stands for itself."""
    if isinstance(args, (Tensor, np.ndarray, np.generic)):
        return [args]
    if not isinstance(args, (list, tuple)):
        raise TypeError(
            f"check_grads: args is {type(args).__name__}, not the list of f's arguments; "
            "give an array, or a list: [np.array(3.0)]"
        )
    return args


def _finish(report: GradReport, raise_exception: bool) -> GradReport:
    if raise_exception and report.failed:
        raise GradientError(report)
    return report


@np.errstate(all="ignore")  # a wrong gradient may well be inf: that is for the report to say
def _check(problem: Problem, settings: Settings) -> GradReport:
    if not problem.xs:
        raise ValueError(
            "check_grads: no argument is floating point, so none has a gradient; a Python number "
            "is taken for a setting: write np.array(3.0)"
        )
    seed = settings.seed
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    rng = np.random.default_rng(seed)
    full = settings.directions == "full"
    how = "every entry of the Jacobian" if full else f"{settings.directions} directions"
    report = GradReport(
        "passed", seed, f"vjp with central differences, float64, {how}, random cotangents",
        [f"{n} {x.shape}" for n, x in zip(problem.names, problem.xs, strict=True)],
    )
    tolerance = Tolerance(settings.atol or 0.0, RTOL if settings.rtol is None else settings.rtol)
    left = SMOOTH if settings.kinks == "detect" else ANY
    point = Point(problem, tolerance, None if settings.eps == "auto" else settings.eps, left)
    if not _usable(report, point, rng):
        return report
    beside = point.beside(rng) if settings.eps == "auto" else None
    doubt = None if beside is None else precision.suspicion(beside, point.ys, rng)
    if doubt is not None:
        report.notes.append(doubt)
        point.rounding = precision.FLOAT32
        beside = None
    if settings.kinks == "detect":
        point = _set_kinks_aside(report, point, rng)
    comparisons = _compare(point, settings.directions, rng)
    close_by = [] if beside is None else _close_by(beside, point, rng)
    _judge(report, comparisons, close_by)
    if doubt is not None:
        report.status = "failed" if report.status == "failed" else "imprecise"
        return report
    if report.status in ("passed", "kink"):
        _measure_power(report, problem, comparisons, settings.min_power, rng)
    if settings.order == 2 and report.status in ("passed", "kink"):
        second.compare(report, point, rng)
    return report


def _usable(report: GradReport, point: Point, rng: np.random.Generator) -> bool:
    """There is something to compare, and f and its backward do only what they may."""
    if not point.ys:
        return _fail(report, "f has no floating output")
    if any(ok.size for ok in point.counted) and not any(ok.any() for ok in point.counted):
        return _fail(report, "f has no finite output here")
    try:
        grads = manners.check(point, rng)
    except manners.BadManners as error:
        return _fail(report, str(error))
    for name, g in zip(point.problem.names, grads, strict=True):
        if g is None:
            report.notes.append(f"no gradient reached {name}; it counts as zeros")
    return True


def _fail(report: GradReport, why: str) -> bool:
    report.status = "failed"
    report.notes.append(why)
    return False


def _set_kinks_aside(report: GradReport, point: Point, rng: np.random.Generator) -> Point:
    """Switch kinked coordinates off; a gradient outside the two slopes is a failure even there."""
    masks, found = kink_search.find(point, rng)
    report.kinked = int(sum(m.sum() for m in masks))
    if not report.kinked:
        return point
    report.status = "kink"
    report.kinks = [(point.problem.names[k.argument], k) for k in found]
    for name, kink in report.kinks:
        if not kink.is_subgradient():
            report.status = "failed"
            report.notes.append(
                f"at the kink {name}{list(kink.index)} the gradient {kink.gradient:.6g} is not "
                f"between the slopes {kink.left:.6g} and {kink.right:.6g}"
            )
    return point.without(masks)


def _compare(point: Point, directions: int | str, rng: np.random.Generator) -> list[Comparison]:
    if directions == "full":
        return everywhere(point)
    found = []
    for k in range(int(directions)):
        us = point.cotangents(rng)
        if k % 2:
            vs = [point.direction(i, rng) for i in range(len(point.wide))]
            us = point.levelled(us, vs)
        found += along(point, us, rng, bands=k < 2)
    return found


def _close_by(beside: Point, point: Point, rng: np.random.Generator) -> list[Comparison]:
    """One more comparison, a little off: a gradient may be right at the point and nowhere else."""
    masks = [w == 0 for w in point.wide]
    beside = beside.without(masks)
    return along(beside, beside.cotangents(rng), rng, bands=False)


def _judge(report: GradReport, here: list[Comparison], beside: list[Comparison]) -> None:
    """Fail at the first disagreement, and look for the element and the reason."""
    for c in here + beside:
        report.error = max(report.error, c.relative(c.gap(c.grad)))
        report.allowed = max(report.allowed, c.relative(c.allowed(c.grad)))
    report.step = min((c.numeric.step for c in here), default=0.0)
    wrong = [c for c in here if not c.accepts(c.grad)]
    if not wrong:
        wrong = [c for c in beside if not c.accepts(c.grad)]
        if wrong:
            report.notes.append("right at the point, wrong close by: frozen, or a special case")
    if not wrong:
        return
    report.status = "failed"
    worst = max(wrong, key=lambda c: np.nan_to_num(c.relative(c.gap(c.grad)), nan=np.inf))
    if not np.isfinite(worst.numeric.value).all():
        report.notes.append("no step gave finite values: the point is on the edge of the domain")
        return
    report.worst = locate.worst_element(worst)


def _measure_power(
    report: GradReport,
    problem: Problem,
    comparisons: list[Comparison],
    min_power: float,
    rng: np.random.Generator,
) -> None:
    """Check again with wrong gradients; a check that would accept them is vacuous."""
    caught = tried = 0
    empty = []
    for i, name in enumerate(problem.names):
        mine = [c for c in comparisons if c.argument == i]
        results = list(mutations.trials(mine, rng))
        if mine and not results:
            empty.append(name)
        tried += len(results)
        caught += sum(was_caught for _, was_caught in results)
        report.accepted += [(name, kind) for kind, was_caught in results if not was_caught]
    report.mutants = tried
    report.power = caught / tried if tried else 0.0
    if not comparisons:
        report.notes.append("no argument has elements to differentiate: only shapes were compared")
    if min_power <= 0 or report.kinked or not comparisons:
        return
    for name in empty:
        report.notes.append(
            f"the gradient of {name} is zero here, so a backward that returns zeros passes too; "
            "choose a point or an f where it is not (sum() after softmax, for one, is constant)"
        )
    if empty or report.power < min_power:
        report.status = "vacuous"
