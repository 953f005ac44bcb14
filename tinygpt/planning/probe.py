"""A short trial of a training in a process of its own, to learn what it really takes.

The child builds the model, makes a few steps on random tokens and reports its memory and times. A
process of its own, because memory that a process has once touched stays in its peak; and because a
trial that exhausts the memory must not take the caller with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygpt.config import Config, from_dict

if TYPE_CHECKING:
    from tinygpt.training.session import Session

SECONDS = 6.0  # of steps, about
LEAST, MOST = 3, 30  # steps timed


@dataclass(frozen=True)
class Measured:
    """What a trial saw.

    base, peak: resident bytes before the model is made and at most; *_virtual: the same of
    address space.
    pass_seconds: (lower quartile, median, upper quartile) of forward and backward of one
    micro-batch.  update_seconds: of the optimizer's update.
    others: share of the processors' time that other programs took meanwhile (0 if unknown). One
        that keeps one of two cores busy doubles the times: a step waits for its slower thread.
    """

    base: int
    peak: int
    base_virtual: int
    peak_virtual: int
    pass_seconds: tuple[float, float, float]
    update_seconds: float
    others: float = 0.0


def measure(config: Config, seconds: float = SECONDS) -> Measured | None:
    """Try a configuration in a child process; None if the child did not survive it."""
    request = json.dumps({"config": config.to_dict(), "seconds": seconds})
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt.planning.probe"],
        input=request, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        return None
    values = json.loads(done.stdout)
    return Measured(**{**values, "pass_seconds": tuple(values["pass_seconds"])})


def time_in_place(session: Session, seconds: float = 2.0) -> tuple[float, float, float]:
    """(low, likely, high) seconds of one step of this session, which is left as it was.

    Makes forward and backward passes without updates, and puts the random stream back.
    """
    recipe, shape = session.config.training, session.config.model
    random = session.state.rng.bit_generator.state
    ids = np.zeros((recipe.batch_size, shape.context), dtype=np.int64)
    passes: list[float] = []
    end = time.perf_counter() + seconds
    session.model.train()
    while len(passes) < 2 or (time.perf_counter() < end and len(passes) < 12):
        start = time.perf_counter()
        session.model.loss(ids, ids).backward()
        session.optimizer.zero_grad()
        passes.append(time.perf_counter() - start)
    session.state.rng.bit_generator.state = random
    low, middle, high = np.quantile(passes[1:], (0.25, 0.5, 0.75)) * recipe.accumulation
    return float(low), float(middle), float(high)


def _trial(config: Config, seconds: float) -> Measured:
    from minigrad import optim
    from tinygpt.machine.memory import peak_bytes, peak_virtual_bytes
    from tinygpt.model import GPT
    from tinygpt.planning.plan import warm_runtime
    from tinygpt.training.session import make_optimizer

    base, base_virtual = warm_runtime(), peak_virtual_bytes()
    shape, recipe = config.model, config.training
    rng = np.random.default_rng(0)
    model = GPT(shape, rng)
    model.recompute = recipe.recompute
    optimizer = make_optimizer(model, recipe)
    passes: list[float] = []
    updates: list[float] = []
    end, before = time.perf_counter() + seconds, _processors()
    while len(passes) <= LEAST or (time.perf_counter() < end and len(passes) <= MOST):
        optimizer.zero_grad()
        for _ in range(min(recipe.accumulation, 2)):  # the second adds to gradients that exist
            ids = rng.integers(0, shape.vocab_size, (recipe.batch_size, shape.context))
            start = time.perf_counter()
            model.loss(ids, ids, label_smoothing=recipe.label_smoothing).backward()
            passes.append(time.perf_counter() - start)
        start = time.perf_counter()
        optim.global_norm(optimizer.parameters())
        optimizer.step(lr=0.0)
        updates.append(time.perf_counter() - start)
    worked, own, gone_by = (now - then for now, then in zip(_processors(), before, strict=True))
    low, middle, high = np.quantile(passes[1:], (0.25, 0.5, 0.75)).tolist()  # the first warms up
    return Measured(
        base, peak_bytes(), base_virtual, peak_virtual_bytes(), (low, middle, high),
        float(np.median(updates[1:] or updates)),
        max(0.0, worked - own) / (gone_by * (os.cpu_count() or 1)),
    )  # fmt: skip


def _processors() -> tuple[float, float, float]:
    """Seconds that all processors have worked (0 if not on Linux), this process, and the clock."""
    own, clock = time.process_time(), time.perf_counter()
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _wait, *others = map(int, file.readline().split()[1:9])
    except OSError:
        return 0.0, own, clock
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK"), own, clock


if __name__ == "__main__":
    request = json.load(sys.stdin)
    print(json.dumps(asdict(_trial(from_dict(request["config"]), request["seconds"]))))
