"""A whole training on a cluster: its days, and the best way to cut it when nobody says.

Read first: step.py, failures.py. Read next: published.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tinygpt.cluster.failures import DAY, goodput
from tinygpt.cluster.machines import Cluster
from tinygpt.cluster.memory import memory
from tinygpt.cluster.shape import Cut, Model
from tinygpt.cluster.step import Step, step

FITS = 0.9  # share of an accelerator's memory that a cut may take: buffers need the rest


class Forecast(NamedTuple):
    """days: of the calendar, failures included.  share: of the time that is training."""

    days: float
    step: Step
    cut: Cut
    share: float


def forecast(model: Model, cluster: Cluster, cut: Cut, batch: int, tokens: float) -> Forecast:
    """Of a training on `tokens` tokens in steps of `batch` sequences."""
    one = step(model, cut, cluster, batch)
    share = goodput(cluster, model.parameters)
    steps = tokens / (batch * model.context)
    return Forecast(steps * one.seconds / DAY / share, one, cut, share)


def best_cut(model: Model, cluster: Cluster, batch: int) -> Cut:
    """The fastest cut that fits the memory.  Raises ValueError where none does."""
    found = [(step(model, cut, cluster, batch).seconds, cut)
             for cut in cuts(model, cluster, batch)]
    if not found:
        raise ValueError(f"no cut of the model fits {cluster.gpus} of {cluster.gpu.name}")
    return min(found)[1]


def cuts(model: Model, cluster: Cluster, batch: int) -> Iterator[Cut]:
    """Cuts in powers of two that fit, tensor parallelism within a node."""
    room = FITS * cluster.gpu.memory
    for tensor in (1, 2, 4, 8):
        for pipeline in (1, 2, 4, 8, 16):
            data, rest = divmod(cluster.gpus, tensor * pipeline)
            if rest or not data or model.layers % pipeline or batch % data:
                continue
            for micro in (1, 2, 4, 8):
                for recompute in (False, True):
                    for zero in (1, 3) if pipeline == 1 else (1,):
                        cut = Cut(data, tensor, pipeline, micro, 1, zero, recompute,
                                  sequence=tensor > 1)
                        if batch % (data * micro):
                            continue
                        if memory(model, cut, batch).total <= room:
                            yield cut
