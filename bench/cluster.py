"""The cluster on paper: four constants from short public trainings, and days of long ones.

    python -m bench cluster     the fit, how far each training is from it, and the known runs

The short trainings (cluster.json: 8 to 64 accelerators, minutes) settle the constants in
../tinygpt/cluster/machines.py; the known runs (../tinygpt/cluster/published.py: months) are then
asked about. None of them, nor anything their authors say of their speed, is in the fit.

Read first: ../tinygpt/cluster/machines.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from tinygpt.cluster.machines import A100, H100, NETWORK, TRAFFIC, Cluster
from tinygpt.cluster.published import RUNS, ask
from tinygpt.cluster.shape import Cut, Model
from tinygpt.cluster.step import step

CALIBRATION = Path(__file__).with_name("cluster.json")
GPUS = {"A100": A100, "H100": H100}
KEPT = np.array([A100.matmul, H100.matmul, TRAFFIC, NETWORK])  # what machines.py says


def trainings() -> dict[str, Any]:
    """The public table."""
    return json.loads(CALIBRATION.read_text(encoding="utf-8"))


def utilisation(row: list[Any], table: dict[str, Any], constants: np.ndarray) -> float:
    """Per cent of the peak that the simulator says of one of them."""
    name, model, gpus, micro, batch, recompute, _ = row
    of_a100, of_h100, traffic, network = (float(value) for value in constants)
    gpu = GPUS[name]._replace(matmul=of_a100 if name == "A100" else of_h100)
    link = table["link_bytes_a_second_of_a_node"][name] / gpu.node
    cluster = Cluster(gpu, gpus, link, network=network, traffic=traffic)
    layers, width, heads = table["shapes"][model]
    shape = Model(layers, width, heads, table["vocab"], table["context"])
    made = step(shape, Cut(gpus, micro=micro, zero=3, recompute=recompute), cluster, batch)
    return 100 * made.rate / gpu.peak


def misses(constants: np.ndarray) -> np.ndarray:
    """Logarithm of said to measured, of each training."""
    table = trainings()
    said = [utilisation(row, table, constants) for row in table["rows"]]
    return np.log(said) - np.log([row[-1] for row in table["rows"]])


def fit(start: np.ndarray = KEPT) -> np.ndarray:
    """The constants of least squares, by Gauss and Newton."""
    found, small = np.array(start, dtype=np.float64), 1e-4
    for _ in range(8):
        off = misses(found)
        slopes = [(misses(found + small * unit) - off) / small for unit in np.eye(len(found))]
        found = found - np.linalg.lstsq(np.array(slopes).T, off, rcond=None)[0]
    return found


@click.command()
def command() -> None:
    """The cluster on paper: fitted to short trainings, asked about long ones."""
    show_fit()
    show_runs()


def show_fit() -> None:
    """Fit the constants, and print each training beside its measurement."""
    found, table = fit(), trainings()
    names = ("A100 matmul", "H100 matmul", "TRAFFIC", "NETWORK")
    for name, value, kept in zip(names, found, KEPT, strict=True):
        click.echo(f"{name:12} {value:.4f}   (kept: {kept:g})")
    off = misses(found)
    for row, miss in zip(table["rows"], off, strict=True):
        words = f"{row[0]} {row[1]:>5} x {row[2]:<3} micro {row[3]:<3}"
        click.echo(f"  {words} measured {row[-1]:5.2f} %  said {row[-1] * np.exp(miss):5.2f} %")
    click.echo(f"off by {100 * np.sqrt(np.mean(off**2)):.1f} % (rms), {100 * abs(off).max():.1f} % "
               "at most")


def show_runs() -> None:
    """Print what is said of the known runs."""
    click.echo(f"{'':29} {'days':>6} {'said':>6} {'off':>6}  TFLOP/s  products memory tensor "
               "bubble data")
    for run in RUNS:
        said = ask(run)
        one = said.step
        parts = (one.products, one.memory, one.tensor, one.bubble, one.data)
        shares = "".join(f"{part / one.seconds:8.0%}" for part in parts)
        off = said.days / run.days - 1
        click.echo(f"{run.name:29} {run.days:6.1f} {said.days:6.1f} {off:+6.1%}  "
                   f"{one.rate / 1e12:7.0f}{shares}")
        click.echo(f"    {run.source}")
