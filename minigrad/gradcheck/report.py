"""GradReport: what was compared, how, and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.gradcheck.kinks import Kink

MEANING = {
    "passed": "the gradients agree, and wrong ones would have been caught",
    "failed": "the gradients are wrong",
    "vacuous": "the gradients agree, but wrong ones would have been accepted too",
    "imprecise": "f rounds to float32 inside, and as far as that lets one see the gradients agree",
    "kink": "no derivative exists at this point; away from the kinks the gradients agree",
}


class GradientError(AssertionError):
    """A check that failed, was vacuous or imprecise; `report` is the GradReport."""

    def __init__(self, report: GradReport):
        super().__init__(str(report))
        self.report = report


@dataclass
class Worst:
    """The element whose gradient is furthest off."""

    argument: str
    index: tuple[int, ...]
    got: float
    right: float
    suspect: str


@dataclass
class GradReport:
    """Result of check_grads or check_vjp; true only if it passed.

    status: "passed", "failed", "vacuous" or "imprecise" (failures too) or "kink" (neither).
    seed: repeats the check.  compared: what with what.  arguments: name and shape of each.
    step: smallest h that differences settled on.  error, allowed: relative to the norm.
    power: part of the wrong gradients tried that were caught, of `mutants` in all;
    accepted: (argument, kind) of those that were not.
    """

    status: str
    seed: int
    compared: str
    arguments: list[str]
    error: float = 0.0
    allowed: float = 0.0
    step: float = 0.0
    power: float = 1.0
    mutants: int = 0
    accepted: list[tuple[str, str]] = field(default_factory=list)
    kinks: list[tuple[str, Kink]] = field(default_factory=list)
    kinked: int = 0
    worst: Worst | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the gradients were shown to be right."""
        return self.status == "passed"

    @property
    def failed(self) -> bool:
        """Whether check_grads raises for it."""
        return self.status in ("failed", "vacuous", "imprecise")

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        rows = [
            ("arguments", ", ".join(self.arguments) or "none"),
            ("compared", self.compared),
            ("error", f"{self.error:.2g} of the norm, allowed {self.allowed:.2g}"),
            ("step", f"h = {self.step:.2g}" if self.step else "none"),
        ]
        if self.status not in ("failed", "imprecise"):
            rows.append(("power", self._power()))
        if self.kinked:
            rows.append(("kinks", self._kinks()))
        if self.worst is not None:
            w = self.worst
            place = f"{w.argument}{list(w.index)}"
            rows.append(("worst", f"{place}: got {w.got:.9g}, differences say {w.right:.9g}"))
            rows.append(("suspect", w.suspect))
        rows += [("note", note) for note in self.notes]
        head = f"check_grads {self.status} (seed {self.seed}): {MEANING[self.status]}"
        return "\n".join([head, *(f"  {name:<10} {text}" for name, text in rows)])

    def _power(self) -> str:
        if not self.mutants:
            return "nothing to catch: the gradient is zero here"
        text = f"{self.power:.0%} of {self.mutants} wrong gradients would have been caught"
        if self.accepted:
            text += "; accepted: " + ", ".join(f"{kind} of {name}" for name, kind in self.accepted)
        return text

    def _kinks(self) -> str:
        shown = ", ".join(
            f"{name}{list(k.index)} (slope {k.left:.4g} | {k.right:.4g}, got {k.gradient:.4g})"
            for name, k in self.kinks[:3]
        )
        return f"{self.kinked} coordinates: {shown}{', ...' if self.kinked > 3 else ''}"
