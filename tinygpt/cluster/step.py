"""Seconds of one step on a cluster, made up from what each part must do.

    products       operations / (peak x the share that large products reach)
    memory         bytes that norms, activations and unfused attention move / bandwidth
    tensor         two sums a layer and pass among the accelerators of a node, which wait for them
    pipeline       the schedule, task by task (schedule.py), with its bubble and its links
    data           gradients summed, or weights gathered (ZeRO 3)
    optimizer      one pass over its moments; gradients widened and added, where they are

Nothing here knows a run's published utilisation: it is what comes out.

Read first: shape.py, memory.py, schedule.py. Read next: run.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tinygpt.cluster import schedule
from tinygpt.cluster.machines import ATTENTION, Cluster
from tinygpt.cluster.memory import GRADIENT, OPTIMIZER, WEIGHT, WIDE, elementwise, scores
from tinygpt.cluster.shape import Cut, Model

# Bytes that move for each gradient of a microbatch, in operations of their own, as in DeepSpeed's
# optimizer for bfloat16: read in 16 bits, written in 32; read again, and added to what is kept.
WIDENING = GRADIENT + WIDE + WIDE + 2 * WIDE


class Step(NamedTuple):
    """Seconds of one optimizer step, by what they go to; `bubble` is part of none of the others.

    flops: of the model, one accelerator's share, nothing recomputed.
    """

    products: float
    memory: float
    tensor: float
    bubble: float
    data: float
    optimizer: float
    flops: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return (self.products + self.memory + self.tensor + self.bubble + self.data
                + self.optimizer)

    @property
    def rate(self) -> float:
        """Operations a second of one accelerator, those of the model only."""
        return self.flops / self.seconds


def all_reduce(size: float, ranks: int, rate: float) -> float:
    """Seconds to sum `size` bytes over ranks at `rate` bytes a second, each way."""
    return 2 * gather(size, ranks, rate)


def gather(size: float, ranks: int, rate: float) -> float:
    """Seconds until each rank has all of `size` bytes of which it had its part; or of the half of
    a sum that leaves each with its part."""
    return (ranks - 1) / ranks * size / rate if ranks > 1 else 0.0


def layer_seconds(model: Model, cut: Cut, cluster: Cluster) -> tuple[float, float, float]:
    """(products, memory, tensor) of one layer's forward with one microbatch."""
    gpu, tokens = cluster.gpu, cut.micro * model.context
    flops = tokens * model.layer_flops() / cut.tensor
    products = flops / (gpu.peak * gpu.matmul)
    moved = cluster.traffic * elementwise(model, cut) + ATTENTION * scores(model, cut)
    memory = moved / gpu.bandwidth
    rate = gpu.inside if cut.tensor <= gpu.node else cluster.link
    size = WEIGHT * tokens * model.width
    tensor = 2 * all_reduce(size, cut.tensor, cluster.network * rate)
    return products, memory, tensor


def busiest(model: Model, stages: int) -> float:
    """Layers that the busiest stage takes as long as: the last has the head beside its own.

    Where layers do not divide evenly, the first and the last stage have one less.
    """
    head = 2.0 * model.table / model.layer_flops()
    each, uneven = math.ceil(model.layers / stages), model.layers % stages != 0
    return max(each, each - uneven + head)


def step(model: Model, cut: Cut, cluster: Cluster, batch: int) -> Step:
    """One optimizer step of `batch` sequences.  Raises ValueError for a cut that does not fit."""
    if cut.gpus != cluster.gpus:
        raise ValueError(f"{cut.data} x {cut.tensor} x {cut.pipeline} = {cut.gpus} accelerators "
                         f"are not the cluster's {cluster.gpus}")
    micros = cut.micros(batch)
    passes = 3 + cut.recompute
    layers = busiest(model, cut.pipeline)
    products, memory, tensor = (
        layers * micros * passes * one for one in layer_seconds(model, cut, cluster)
    )
    work = products + memory + tensor
    backward = (passes - 1) / passes * work / micros
    link = WEIGHT * cut.micro * model.context * model.width / cut.tensor
    link = cluster.latency + link / (cluster.network * cluster.link)
    order = schedule.interleaved(cut.pipeline, micros, cut.chunks)
    events = schedule.simulate(
        order, (work / micros - backward) / cut.chunks, backward / cut.chunks,
        link if cut.pipeline > 1 else 0.0,
    )
    parameters = model.parameters / (cut.tensor * cut.pipeline)
    held = parameters / (cut.data if cut.zero else 1)
    moved = 2 * held * (OPTIMIZER + GRADIENT) + cut.widened * micros * parameters * WIDENING
    optimizer = moved / cluster.gpu.bandwidth
    flops = 3 * batch * model.context * model.forward_flops() / cut.gpus
    data = data_seconds(parameters, cut, cluster, micros)
    bubble = schedule.makespan(events) - work
    return Step(products, memory, tensor, bubble, data, optimizer, flops)


def data_seconds(parameters: float, cut: Cut, cluster: Cluster, micros: int) -> float:
    """Seconds of a step's data-parallel traffic.

    ZeRO 3 gathers the weights for each forward and each backward, and scatters gradients; the
    others send twice what a half of a sum takes, whatever is divided, and where gradients are
    widened the weights besides.  Ranks that share a node share its links, and what comes into a
    node comes once.
    """
    together = min(cut.data, max(1, cluster.gpu.node // (cut.tensor * cut.pipeline)))
    half = WIDE + WEIGHT / 2 if cut.widened else GRADIENT
    size = parameters * (WEIGHT if cut.zero == 3 else half)
    seen = cluster.network
    between = gather(size, cut.data // together, seen * cluster.link * together)
    within = gather(size, together, seen * cluster.gpu.inside)
    return (3 * micros if cut.zero == 3 else 2) * max(between, within)
