"""`tinygpt doctor`: what this machine is, what runs on it and why, and how fast."""

from __future__ import annotations

import platform
import time
from typing import Any

import click

from tinygpt.machine.cpu import cpu_name
from tinygpt.machine.memory import machine_bytes


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the measurements (about two seconds).")
def doctor(quick):
    """Say what this machine is, which kernels run on it and why, and how fast they are."""
    from rich.table import Table
    from rich.text import Text

    from tinygpt.screens.console import Progress, Screen

    screen = Screen()
    with Progress() as busy:
        busy("looking at the machine")
        sections = [("Machine", _machine()), ("Kernels", _kernels()), ("Versions", _versions())]
        if not quick:
            busy("measuring its speed")
            sections.insert(2, ("Measured now", _measured()))
    for title, rows in sections:
        screen.say(f"\n{title}", "bold")
        if not screen.is_terminal:  # a line stays a line
            for name, value in rows:
                screen.say(f"  {name:<15} {value}")
            continue
        table = Table.grid(padding=(0, 0, 0, 1))
        table.add_column(no_wrap=True, min_width=16)
        table.add_column()
        for name, value in rows:
            table.add_row(Text(f" {name}"), Text(value))
        screen.print(table)
    screen.print()


def _machine() -> list[tuple[str, str]]:

    return [
        ("processor", cpu_name()),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("memory", _memory()),
        ("threads", _threads()),
    ]


def _threads() -> str:
    import minigrad

    why = minigrad.report()["threads"]
    return f"{minigrad.get_num_threads()} ({why}; set TINYGPT_THREADS to change it)"


def _kernels() -> list[tuple[str, str]]:
    import minigrad
    from tinygpt import tokenizer

    report = minigrad.report()
    rows = [("in use", _in_use(report))]
    rows += [(f"  {name}", why) for name, why in report["available"].items()]
    rows += [(f"  C {isa}", why) for isa, why in report["isas"].items()]
    return [*rows, ("tokenizer", tokenizer.what_runs())]


def _in_use(report: dict[str, Any]) -> str:
    used = sorted(set(report["ops"].values()))
    name = " + ".join(used) + (f", instruction set {report['isa']}" if report["isa"] else "")
    return f"{name} (asked for: {report['backend']})"


def _measured() -> list[tuple[str, str]]:
    import numpy as np

    import minigrad
    from minigrad import Tensor

    rng = np.random.default_rng(0)
    n = 1024
    a, b = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    ta, tb = Tensor(a), Tensor(b)
    with minigrad.no_grad():
        ours = 2 * n**3 / _best_seconds(lambda: ta @ tb) / 1e9
    blas = 2 * n**3 / _best_seconds(lambda: a @ b) / 1e9
    source = np.ones(16 * 2**20, dtype=np.float32)  # 64 MB, beyond the caches
    target = np.empty_like(source)
    copy = 2 * source.nbytes / _best_seconds(lambda: np.copyto(target, source)) / 1e9
    return [
        ("matmul", f"{ours:.0f} GFLOP/s ({n} x {n}, float32; NumPy's BLAS: {blas:.0f})"),
        ("copy", f"{copy:.1f} GB/s (64 MB, one thread, read + write)"),
    ]


def _best_seconds(function, budget: float = 0.5) -> float:
    """Shortest time of one call over about `budget` seconds of calls."""
    function()  # warm-up: caches, threads, Numba's compiler
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    from tinygpt.distributed.mpi import what_is_here

    rows = [("python", platform.python_version())]
    for package in ("tinygpt", "numpy", "numba", "cffi", "regex", "safetensors", "click", "rich"):
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    return [*rows, ("MPI", what_is_here())]


def _memory() -> str:
    sizes = machine_bytes()
    if sizes is None:
        return "unknown on this system"
    total, available = (size / 2**30 for size in sizes)
    return f"{total:.1f} GiB, {available:.1f} GiB of it available"
