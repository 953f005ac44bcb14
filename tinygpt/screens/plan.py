"""A plan as a person reads it."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tinygpt.planning.plan import MARGIN, Plan
from tinygpt.screens.console import Screen
from tinygpt.screens.live import duration

MB = 2**20
DAY = 86400.0  # seconds
BUSY = 0.1  # share of the processors for others from which the time is worth a warning


def plan_table(plan: Plan, out: Path | None = None) -> Group:
    """Everything: what will be trained, on what, with how much memory, time and disk."""
    facts = Table.grid(padding=(0, 3))
    for name, text in _facts(plan, out):
        facts.add_row(Text(name, style="dim"), text)
    memory = Table.grid(padding=(0, 2))
    memory.add_column()
    memory.add_column(justify="right")
    for name, size in _memory_rows(plan):
        memory.add_row(f"  {name}", f"{size / MB:,.0f} MB")
    total = Text(f"{plan.memory.total / MB:,.0f} MB", style="bold")
    memory.add_row(Text("  in all", style="bold"), total)
    return Group(facts, Text("Memory at its peak", style="dim"), memory, _verdict(plan))


def one_line(plan: Plan) -> str:
    """The same in a sentence, for the first line of a training."""
    tokens, recipe = plan.tokens, plan.config.training
    passes = _passes(plan)
    seen = f" ({passes} the text)" if passes else ""
    available = f" of {plan.limit.size / MB:,.0f} available" if plan.limit else ""
    return (
        f"{plan.objective.parameters / 1e6:.2f} million parameters, {_amount(tokens)} tokens in "
        f"{recipe.steps:,} steps{seen}, about "
        f"{plan.memory.total / MB:,.0f} MB of memory{available}."
    )


def time_line(seconds: float, total: float, low: float, high: float) -> str:
    """Seconds of a step and of the run, and when it would be done if that is within a year."""
    step = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    text = f"{step} a step, {duration(total)} in all"
    if high > 365 * DAY:
        return text
    now = datetime.now()
    early, late = (now + timedelta(seconds=s) for s in (low, high))
    pattern = "%H:%M" if late.date() == now.date() else "%A %H:%M"
    if high > 6 * DAY:
        pattern = "%d %B"
    between = f"between {early.strftime(pattern)} and {late.strftime(pattern)}"
    if early.strftime(pattern) == late.strftime(pattern):
        between = f"at about {early.strftime(pattern)}"
    return f"{text}: done {between}"


def _facts(plan: Plan, out: Path | None) -> list[tuple[str, str]]:
    objective, recipe = plan.objective, plan.config.training
    one = plan.tokens // (recipe.steps * recipe.batch_size * recipe.accumulation)
    batch = f"{recipe.batch_size} x {one} tokens"
    if recipe.accumulation > 1:
        batch = f"{recipe.accumulation} x {batch}"
    _, detail = objective.describe_model()
    shape = f": {detail}" if detail else ""
    training = f"{recipe.steps:,} steps of {batch}: {_amount(plan.tokens)} tokens"
    facts = [("Model", f"{objective.parameters / 1e6:.2f} million parameters{shape}")]
    passes = _passes(plan)
    if passes:
        learnt, held_out = objective.data_tokens()
        text = f"{_amount(learnt)} tokens to learn from, {_amount(held_out)} held out"
        facts.append(("Text", text))
        training += f", {passes} the text"
    training += ", activations recomputed" if recipe.recompute else ""
    facts.append(("Training", training))
    if plan.step_seconds and plan.total_seconds:
        total, low, high = plan.total_seconds
        facts.append(("Time", time_line(plan.step_seconds[0], total, low, high)))
    if plan.others > BUSY:
        share = f"{plan.others:.0%} of the processor"
        facts.append(("", f"Other programs took {share} meanwhile: without them it is faster."))
    free = shutil.disk_usage(_existing(out or Path())).free
    short = "" if free > 1.2 * plan.disk_bytes else " (not enough)"
    disk = (
        f"{plan.disk_bytes / MB:,.0f} MB for checkpoints of {plan.checkpoint_bytes / MB:,.0f} MB, "
        f"{free / MB:,.0f} MB free{short}"
    )
    return [*facts, ("Disk", disk)]


def _memory_rows(plan: Plan) -> list[tuple[str, int]]:
    memory = plan.memory
    return [
        ("weights", memory.weights),
        ("gradients", memory.gradients),
        (f"{plan.config.training.optimizer}'s moments", memory.moments),
        ("activations and work buffers", memory.activations),
        ("Python, libraries, threads", memory.runtime),
    ]


def _verdict(plan: Plan) -> Text:
    if plan.limit is None:
        return Text("How much this machine has is unknown.", style="yellow")
    have = f"{plan.limit.size / MB:,.0f} MB are there ({plan.limit.name})"
    if plan.fits:
        return Text(f"It fits: {have}.", style="green")
    return Text(f"It does not fit: {have}, of which a plan may take {MARGIN:.0%}.", style="red")


def _amount(count: int) -> str:
    return f"{count / 1e6:.2f} million" if count >= 100_000 else f"{count:,}"


def _passes(plan: Plan) -> str:
    """How often the data will be seen, "" where it has no size."""
    learnt, _ = plan.objective.data_tokens()
    passes = plan.tokens / max(1, learnt)
    times = f"{passes:.1f} times" if passes < 10 else f"{passes:.0f} times"
    return times if learnt else ""


def _existing(path: Path) -> Path:
    path = path.resolve()
    return next(p for p in (path, *path.parents) if p.exists())


def show(screen: Screen, plan: Plan, out: Path | None = None) -> None:
    """Print the whole plan."""
    screen.print(plan_table(plan, out))
