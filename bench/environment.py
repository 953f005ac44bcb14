"""This machine, for the head of an entry in LOG.md: CPU, caches, memory, versions, rates."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path

import click

from bench import timing
from tinygpt.machine.memory import machine_bytes

PACKAGES = ("numpy", "numba", "cffi", "torch", "tokenizers", "tiktoken")


def caches() -> list[str]:
    """ "L1d 48K", ... of the first core, as Linux tells."""
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / n).read_text().strip() for n in ("level", "type", "size"))
        found.append(f"L{level}{kind[0].lower() if kind != 'Unified' else ''} {size}")
    return found


def versions() -> dict[str, str]:
    """Installed versions of what we compute with and compare against."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@click.command()
def command():
    """Print the machine as a paragraph for LOG.md, with its rates of this minute."""
    import kernels

    click.echo(f"- {timing.headline()}")
    click.echo(f"- {platform.system()} {platform.release()}, Python {sys.version.split()[0]}")
    if found := caches():
        click.echo(f"- caches: {', '.join(found)}")
    if sizes := machine_bytes():
        click.echo(f"- memory: {sizes[0] / 2**30:.1f} GiB")
    click.echo("- " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    report = kernels.report()
    click.echo(f"- kernels: {report['backend']}, instruction set {report['isa']}")
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        blas = timing.sgemm_gflops()
        ours = timing.sgemm_gflops(kernels.active.matmul_forward)
        copy = timing.copy_gbps(threads)
        click.echo(
            f"- {threads} thread(s): sgemm {blas:.0f} GFLOP/s (NumPy), {ours:.0f} (ours); "
            f"copy {copy:.1f} GB/s"
        )
