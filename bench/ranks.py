"""What a step costs that several processes make together: time, and bytes on the line.

    python -m bench ranks L --steps 8                                        one process
    mpirun -n 2 python -m bench ranks L --steps 8 --set training.zero=true   two

Every rank trains for real on the embedded stories; the first prints one line of JSON: the median
step in seconds, its spread, a processor's time in it (which neighbours lengthen little), bytes sent
a step by the interface's own counter (--interface), and what distributed/traffic.py says that it
should be. Efficiency is the time of one process for the same step, divided by ranks times theirs;
namespaces.py computes it on a line of known speed.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click
import numpy as np

WARM = 2  # steps that are not counted
PAYLOAD, COUNTED = 1448, 1514  # bytes of a full packet: TCP's data, and what the interface counts


@click.command()
@click.argument("config", default="L")
@click.option("--steps", default=8, show_default=True, help="Steps that are counted.")
@click.option("--set", "overrides", multiple=True, help="As of `tinygpt train`.")
@click.option("--interface", help="The network interface whose bytes are counted.")
def command(config, steps, overrides, interface):
    """Time a step of several processes."""
    from tinygpt.config import load_config
    from tinygpt.distributed.follow import joined
    from tinygpt.distributed.start import join
    from tinygpt.training.begin import begin

    overrides = ("data.stories_mb=1", "training.checkpoint_every=none", *overrides)
    group = join()
    with tempfile.TemporaryDirectory() as folder:
        if group.rank == 0:
            asked = group.cut(load_config(config, overrides))
            session = begin(asked, Path(folder) / "run", group=group)
        else:
            session = joined(group, folder)
        seconds, worked, sent = _measure(session, steps, interface)
        if group.rank == 0:
            print(json.dumps(_line(session, seconds, worked, sent)), flush=True)
        group.close()


def _measure(session, steps, interface):
    """(seconds of each step, of a processor in each, bytes that left by the interface in one)."""
    from tinygpt.training.loop import train

    recipe, seconds, worked, before = session.config.training, [], [], 0
    began, busy = time.perf_counter(), time.process_time()
    for metrics in train(
        session.model, session.batches, session.objective.loss, session.optimizer,
        session.schedule, session.state, steps=WARM + steps, accumulation=recipe.accumulation,
        clip=recipe.clip, group=session.group,
    ):
        now, used = time.perf_counter(), time.process_time()
        if metrics.step > WARM:
            seconds.append(now - began)
            worked.append(used - busy)
        elif interface:
            before = _sent(interface)
        began, busy = now, used
    return seconds, worked, (_sent(interface) - before) / steps if interface else None


def _sent(interface):
    return int(Path(f"/sys/class/net/{interface}/statistics/tx_bytes").read_text())


def _line(session, seconds, worked, sent):
    recipe, ranks = session.config.training, session.group.size
    parameters = sum(p.data.size for p in session.model.parameters() if p.requires_grad)
    payload = should_send(recipe, parameters, ranks)
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist()
    line = {"ranks": ranks, "parameters": parameters, "step": middle, "quartiles": [low, high],
            "processor": float(np.median(worked))}
    if sent is not None:
        right = payload * COUNTED / PAYLOAD
        line |= {"sent": sent, "formula": right, "ratio": sent / right if right else None}
    return line


def should_send(recipe, parameters, ranks):
    """Bytes a rank sends for a step of this recipe (distributed/traffic.py)."""
    from tinygpt.distributed import traffic

    int8 = recipe.exchange == "int8"
    if recipe.local_steps:
        sum_ = traffic.local_steps_int8 if int8 else traffic.local_steps
        return sum_(parameters, ranks, recipe.local_steps)
    if recipe.zero:
        return (traffic.zero1_int8 if int8 else traffic.zero1)(parameters, ranks)
    return (traffic.data_parallel_int8 if int8 else traffic.data_parallel)(parameters, ranks)


if __name__ == "__main__":
    command()
