"""Trainings whose days were published, asked of the simulator.

Taken as input are only a run's shape, accelerators, network, tokens, batch and cut, and how often
its machines failed where that was published; never its utilisation. Where the cut was not published
the simulator takes the fastest that fits. `days` is what the answer is held against.

Read next: docs/cluster.md, which prints the table.
"""

from __future__ import annotations

from typing import NamedTuple

from tinygpt.cluster.machines import A100, H100, Cluster
from tinygpt.cluster.run import Forecast, best_cut, forecast
from tinygpt.cluster.shape import Cut, Model

# 419 unplanned interruptions in 54 days on 16,384 accelerators (Llama 3, section 3.3.4).
FAILURES = 419 / 54 / 16384
GBIT = 1e9 / 8

GPT3 = Model(96, 12288, 96, 51200, 2048)
LLAMA2 = Model(80, 8192, 64, 32000, 4096, 28672, 8, gated=True, tied=False)
LLAMA3 = Model(126, 16384, 128, 128256, 8192, 53248, 8, gated=True, tied=False)
LLAMA1 = Model(80, 8192, 64, 32000, 2048, 22016, gated=True, tied=False)
BLOOM = Model(70, 14336, 112, 250880, 2048)


class Published(NamedTuple):
    """batch: sequences.  cut: None if it was not published.  days: published.
    note: what is taken for what, and what is not known."""

    name: str
    model: Model
    cluster: Cluster
    cut: Cut | None
    batch: int
    tokens: float
    days: float
    source: str
    note: str


RUNS = (
    Published(
        "GPT-3 175B, 1,024 A100", GPT3, Cluster(A100, 1024, 200 * GBIT),
        Cut(16, 8, 8, 1, 1, 0, recompute=True, fused=False), 1536, 300e9, 34.0,
        "Narayanan et al. 2021, arXiv 2104.04473, section 5.1",
        "its authors' own extrapolation from steps that they measured; no failures",
    ),
    Published(
        "OPT-175B, 1,024 A100", GPT3._replace(vocab=50272), Cluster(A100, 1024, 200 * GBIT),
        Cut(128, 8, 1, 8, 1, 2, recompute=True, fused=False), 1024, 300e9, 33.0,
        "metaseq, its OPT chronicles' final update, and the launcher's OPT baselines",
        "33 days of continuous training; with their failures it took 56 days by the calendar",
    ),
    Published(
        "Llama 2 70B, 2,048 A100", LLAMA2, Cluster(A100, 2048, 200 * GBIT, failures=FAILURES),
        None, 1024, 2e12, 1_720_320 / 2048 / 24,
        "Touvron et al. 2023, arXiv 2307.09288, table 2",
        "1,720,320 GPU-hours, which are 840 whole hours of 2,048 GPUs: so many are taken to have "
        "worked, and how they were cut is not published. For 1,024 it says 13 % fewer GPU-hours",
    ),
    Published(
        "Llama 3.1 405B, 16,384 H100", LLAMA3,
        Cluster(H100, 16384, 400 * GBIT, failures=FAILURES, storage=2e12),
        Cut(128, 8, 16, 1, 8, 1, sequence=True), 2048, 15.6e12, 30.84e6 / 16384 / 24,
        "Llama 3.1 model card (30.84 M GPU-hours); arXiv 2407.21783, tables 3 and 4",
        "all as the second of three stages: 16 M tokens a step, contexts of 8,192",
    ),
    Published(
        "BLOOM 176B, 384 A100", BLOOM, Cluster(A100, 384, 50 * GBIT, failures=FAILURES),
        Cut(8, 4, 12, 2, 1, 1, recompute=True, fused=False, widened=True), 2048, 366e9,
        1_082_990 / 384 / 24,
        "Luccioni et al. 2022, arXiv 2211.02001 (1,082,990 GPU-hours); arXiv 2211.05100; gradients "
        "in 32 bits: bigscience's tr11-176B chronicles-prequel, DeepSpeed's BF16_Optimizer and its "
        "pipeline engine's _bf16_reduce_grads",
        "four links of 100 Gbit/s for eight GPUs; its beginning with small batches and its "
        "evaluations, about two days, are not counted",
    ),
    Published(
        "LLaMA 65B, 2,048 A100", LLAMA1, Cluster(A100, 2048, 200 * GBIT, failures=FAILURES),
        None, 2048, 1.4e12, 1_022_362 / 2048 / 24,
        "Touvron et al. 2023, arXiv 2302.13971, table 15 (1,022,362 GPU-hours)", "",
    ),
)


def ask(run: Published) -> Forecast:
    """What the simulator says of a published run."""
    cut = run.cut or best_cut(run.model, run.cluster, run.batch)
    return forecast(run.model, run.cluster, cut, run.batch, run.tokens)
