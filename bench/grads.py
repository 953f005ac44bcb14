"""`python -m bench grads`: every operation, every backend, every judge, in one table.

A cell is the worst error over the examples, relative to the largest element (to the norm for
differences); red is too much. Columns:

    differences   the reference's gradients against finite differences, float64
    torch         values and gradients against PyTorch, float64 (where it is installed)
    numpy         the reference in float32 against itself in float64: what float32 costs
    numba, c:...  each fast version in float32 against the reference in float64

Operations written with NumPy alone are the same on every backend: "= numpy".

`--planted` plants every kind of mistake in every real backward (and, with a compiler, in the C
source of six operations) and counts how many are caught.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sysconfig
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from minigrad.testing import REGISTRY, Op, RandomSource, certify
from minigrad.testing.plant import KINDS, caught_by_differences, planted

Cell = tuple[float, float] | str  # (error, allowed), or words


def cases(op: Op, examples: int):
    """A third of the examples ordinary, the rest strange."""
    for seed in range(examples):
        yield op.sample(RandomSource(np.random.default_rng(seed), telling=seed < examples / 3))


def differences(op: Op, examples: int) -> Cell:
    """Worst error of the reference; raises nothing, a failed report counts as infinite."""
    worst = (0.0, 1e-7)
    for seed, case in enumerate(cases(op, examples)):
        report = certify.against_differences(op, case, seed)
        if report.status == "failed":
            return float("inf"), report.allowed
        if report.passed:
            pair = (report.error, report.allowed)
            worst = max(worst, pair, key=lambda p: p[0] / (p[1] or 1.0))
    return worst


def against_torch(op: Op, examples: int) -> Cell:
    """Worst error against PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return "not installed"
    from tests.oracles import torch_values_and_gradients

    worst = 0.0
    for case in cases(op, examples):
        ours = certify.values_and_gradients(op, case, np.float64)
        theirs = torch_values_and_gradients(op.name, case)
        errors = [certify.error(a, b, 1e-4) for a, b in zip(ours, theirs, strict=True)]
        worst = max(worst, *errors)
    return worst, 1e-9


def against_reference(op: Op, backend: str, examples: int) -> Cell:
    """Worst error of one backend, as a part of what is allowed at that place."""
    if backend != certify.REFERENCE and not op.kernels:
        return "= numpy"
    pairs = [certify.against_reference(op, case, backend) for case in cases(op, examples)]
    return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] else np.inf)


def shown(cell: Cell) -> str:
    """A cell for the table."""
    if isinstance(cell, str):
        return f"[dim]{cell}[/]"
    error, allowed = cell
    return f"{error:.0e}" if error <= allowed else f"[bold red]{error:.0e} > {allowed:.0e}[/]"


def is_bad(cell: Cell) -> bool:
    """Whether an error is above what is allowed."""
    return not isinstance(cell, str) and not cell[0] <= cell[1]


def plant_everywhere(names: list[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """operation -> kind -> (caught, planted) in the Python-side backward."""
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for name in names:
        op, counts[name] = REGISTRY[name], {}
        for kind in KINDS:
            caught = tried = 0
            for seed in range(3):
                case = op.sample(RandomSource(np.random.default_rng(seed), telling=True))
                for argument in range(len(case.floats())):
                    with planted(kind, argument, seed) as changed:
                        found = caught_by_differences(op, case, seed)
                    tried += bool(changed)
                    caught += bool(changed) and found
            counts[name][kind] = (caught, tried)
    return counts


def plant_in_c() -> dict[str, dict[str, tuple[int, int]]] | None:
    """The same for the C source; None without a compiler or the extension."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None or "c:generic" not in certify.backends():
        return None
    from tests.ops import c_mutants

    counts: dict[str, dict[str, tuple[int, int]]] = {f"{n}.c": {} for n in c_mutants.OPERATIONS}
    with tempfile.TemporaryDirectory() as folder:
        for kind in c_mutants.KINDS:
            with c_mutants.in_force(c_mutants.compiled(kind, Path(folder))):
                for name in c_mutants.OPERATIONS:
                    counts[f"{name}.c"][kind] = (int(c_mutants.is_caught(name)), 1)
    return counts


def print_planted(names: list[str], console: Console) -> bool:
    """Plant, print, and say whether all were caught."""
    counts = plant_everywhere(names)
    counts.update(plant_in_c() or {})
    table = Table("operation", *KINDS, title="mistakes caught / planted")
    for name, row in counts.items():
        table.add_row(name, *(f"{c}/{n}" if n else "[dim]-[/]" for c, n in row.values()))
    console.print(table)
    caught = sum(c for row in counts.values() for c, _ in row.values())
    tried = sum(n for row in counts.values() for _, n in row.values())
    console.print(f"{caught} of {tried} planted mistakes caught (- : changes nothing there)")
    return caught == tried


@click.command()
@click.option("--examples", default=30, show_default=True, help="Calls per operation and column.")
@click.option("--op", "chosen", multiple=True, help="Only this operation; may be repeated.")
@click.option("--planted", is_flag=True, help="Plant mistakes and count those caught instead.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each operation.")
def command(examples: int, chosen: tuple[str, ...], planted: bool, as_json: bool) -> None:
    """Every gradient against finite differences, the reference and PyTorch."""
    unknown = set(chosen) - set(REGISTRY)
    if unknown:
        raise click.UsageError(f"no operation {min(unknown)!r}; there are {', '.join(REGISTRY)}")
    names = sorted(chosen or REGISTRY)
    console = Console(width=None if Console().is_terminal else 140)
    if planted:
        raise SystemExit(0 if print_planted(names, console) else 1)
    started = time.perf_counter()
    found = certify.backends()
    ready = [name for name, why in found.items() if why == "ready"]
    rows = {}
    for name in names:
        op = REGISTRY[name]
        rows[name] = {
            "differences": differences(op, examples),
            "torch": against_torch(op, examples),
        }
        rows[name] |= {b: against_reference(op, b, examples) for b in ready}
        if as_json:
            click.echo(json.dumps({"op": name, **rows[name]}))
    if not as_json:
        table = Table("operation", "differences", "torch", *ready)
        for name, row in rows.items():
            table.add_row(name, *map(shown, row.values()))
        console.print(table)
        for name, why in found.items():
            if why != "ready":
                console.print(f"{name}: {why}")
        seconds = time.perf_counter() - started
        console.print(f"{len(names)} operations, {examples} examples a cell, {seconds:.0f} s")
    raise SystemExit(any(is_bad(cell) for row in rows.values() for cell in row.values()))
