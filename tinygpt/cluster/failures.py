"""Failures: how often to write a checkpoint, and how much of the time is left for training.

Whatever fails among n accelerators stops them all, so that a cluster fails n times as often as one.
Then it goes back to the last checkpoint. Write too seldom, and much is lost; too often, and the
writing is what is lost. With M seconds between failures and C to write a checkpoint, an interval of
W seconds of work loses about C / W to writing and (W + C) / 2M to failures, least at

    W = sqrt(2 C M)                                             (Young 1974)

which holds while C is much less than M. Exactly, for failures without a memory and R seconds until
it goes on (Daly 2006), work of W takes

    M exp(R / M) (exp((W + C) / M) - 1)   seconds,

and Daly's interval is where that is least for the work done. `lived` plays it through with failures
drawn one by one, and knows none of it.

Read next: run.py.
"""

from __future__ import annotations

import math

import numpy as np

from tinygpt.cluster.machines import Cluster
from tinygpt.cluster.memory import OPTIMIZER, WEIGHT

DAY = 86400.0  # seconds


def young(checkpoint: float, between: float) -> float:
    """Seconds of work between checkpoints; `between`: seconds from failure to failure."""
    return math.sqrt(2 * checkpoint * between)


def daly(checkpoint: float, between: float) -> float:
    """The same to a higher order; a checkpoint that takes two failures' time is never worth it."""
    if checkpoint >= 2 * between:
        return between
    ratio = checkpoint / (2 * between)
    root = math.sqrt(2 * checkpoint * between)
    return root * (1 + math.sqrt(ratio) / 3 + ratio / 9) - checkpoint


def effective(work: float, checkpoint: float, between: float, restart: float) -> float:
    """Share of the time that is training, in the mean, with a checkpoint after `work` seconds."""
    if math.isinf(between):
        return work / (work + checkpoint)
    taken = between * math.exp(restart / between) * math.expm1((work + checkpoint) / between)
    return work / taken


def lived(
    rng: np.random.Generator, work: float, checkpoint: float, between: float, restart: float,
    intervals: int,
) -> float:
    """Share of the time that was training in one life of so many intervals, failures drawn.

    A failure may also come while it restarts: then the restart begins anew.
    """
    clock, need = 0.0, work + checkpoint
    for _ in range(intervals):
        while (fails := rng.exponential(between)) < need:
            clock += fails
            while (again := rng.exponential(between)) < restart:
                clock += again
            clock += restart
        clock += need
    return intervals * work / clock


def goodput(cluster: Cluster, parameters: float) -> float:
    """Share of the time that a cluster trains, with checkpoints at Daly's interval.

    parameters: of the model, whose weights and optimizer a checkpoint holds.
    """
    if not cluster.failures:
        return 1.0
    between = DAY / (cluster.failures * cluster.gpus)
    checkpoint = parameters * (WEIGHT + OPTIMIZER) / cluster.storage
    work = daly(checkpoint, between)
    return effective(work, checkpoint, between, cluster.restart)


def slowest(ranks: int, spread: float) -> float:
    """How much longer than the mean the slowest of `ranks` takes, whom all wait for.

    spread: standard deviation of a rank's time, as a share of its mean, taken to be normal.
    """
    from statistics import NormalDist

    if ranks == 1:
        return 1.0
    # The median of the largest of n normals is close to its mean for small n; Blom 1958 is closer.
    return 1 + spread * NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25))
