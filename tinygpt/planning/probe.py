"""A short trial of a training in a process of its own, to learn what it really takes.

The child builds the module, makes a few steps on examples and reports its memory and times. A
process of its own, because memory that a process has once touched stays in its peak; and because a
trial that exhausts the memory must not take the caller with it.

However large a batch is asked for, a trial is short and small: it begins with one sequence, which
shows what each takes, and goes on with as many as ROOM and PASS allow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from minigrad import nn, optim
from tinygpt.config import OBJECTIVES, TrainingConfig, find_objective, from_dict
from tinygpt.machine.memory import peak_bytes, peak_virtual_bytes, resident_bytes
from tinygpt.model import ModelShape, build
from tinygpt.training.objective import Objective
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.session import Session
from tinygpt.training.step import gradients, gradients_in_pairs, update

SECONDS = 6.0  # of steps, about
LEAST, MOST = 3, 30  # steps timed
ROOM = 1 << 30  # bytes that a trial's activations may take
PASS = 2.0  # seconds that one forward and backward pass may take


@dataclass(frozen=True)
class Measured:
    """What a trial saw.

    base, peak: resident bytes before the model is made and at most; *_virtual: the same of
    address space.
    batch_size: sequences in the micro-batch that was tried, at most those asked for.
    pass_seconds: (lower quartile, median, upper quartile) of forward and backward of one of them.
    update_seconds: of the optimizer's update.
    others: share of the processors' time that other programs took meanwhile (0 if unknown). One
        that keeps one of two cores busy doubles the times: a step waits for its slower thread.
    """

    base: int
    peak: int
    base_virtual: int
    peak_virtual: int
    batch_size: int
    pass_seconds: tuple[float, float, float]
    update_seconds: float
    others: float = 0.0

    def step_seconds(self, recipe: TrainingConfig) -> tuple[float, float, float]:
        """(low, likely, high) seconds of one optimizer step under a recipe."""
        passes = recipe.accumulation * recipe.batch_size / self.batch_size
        low, likely, high = (passes * one + self.update_seconds for one in self.pass_seconds)
        return low, likely, high


def measure(
    objective: Objective, seconds: float = SECONDS, room: int = ROOM
) -> Measured | None:
    """Try an objective's settings in a child process; None if the child did not survive it.

    seconds: of steps, about.  room: bytes that activations may take.
    """
    config, kind = objective.config, type(objective)
    place = f"{kind.__module__}:{kind.__qualname__}"
    request = json.dumps(
        {"config": config.to_dict(), "place": place, "seconds": seconds, "room": room}
    )
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt.planning.probe"],
        input=request, capture_output=True, text=True, check=False,
    )
    if done.returncode != 0:
        return None
    values = json.loads(done.stdout)
    return Measured(**{**values, "pass_seconds": tuple(values["pass_seconds"])})


def time_in_place(session: Session, seconds: float = 2.0) -> tuple[float, float, float]:
    """(low, likely, high) seconds of one step of this session, which is left as it was.

    Makes forward and backward passes without updates, and puts the random stream back.
    """
    recipe, loss = session.config.training, session.objective.loss
    random = session.state.rng.bit_generator.state
    batch = session.objective.example(np.random.default_rng(0))
    passes: list[float] = []
    end = time.perf_counter() + seconds
    session.model.train()
    while len(passes) < 2 or (time.perf_counter() < end and len(passes) < 12):
        start = time.perf_counter()
        gradients(session.model, [batch], loss, session.optimizer)
        session.optimizer.zero_grad()
        passes.append(time.perf_counter() - start)
    session.state.rng.bit_generator.state = random
    low, middle, high = np.quantile(passes[1:], (0.25, 0.5, 0.75)) * recipe.accumulation
    return float(low), float(middle), float(high)


def warm_runtime() -> int:
    """Bytes of this process once every kernel has run: Python, libraries, threads' buffers."""
    shape = ModelShape(vocab_size=16, context=16, n_layers=1, n_heads=1, d_model=16)
    ids = np.zeros((1, 16), dtype=np.int64)
    build(shape, np.random.default_rng(0)).loss(ids, ids).backward()
    return resident_bytes()


def _trial(objective: Objective, seconds: float, room: int) -> Measured:
    base, base_virtual = warm_runtime(), peak_virtual_bytes()
    rng = np.random.default_rng(0)
    model = objective.build(rng)
    optimizer = make_optimizer(model, objective.config.training)
    objective = objective.with_training(
        batch_size=_affordable(objective, model, optimizer, room)
    )
    recipe = objective.config.training
    passes: list[float] = []
    updates: list[float] = []
    end, before = time.perf_counter() + seconds, _processors()
    while len(passes) <= LEAST or (time.perf_counter() < end and len(passes) <= MOST):
        batches = [objective.example(rng) for _ in range(min(recipe.accumulation, 2))]
        start = time.perf_counter()
        gradients_in_pairs(model, batches, objective.loss, optimizer)  # one is added to the other
        passes.append((time.perf_counter() - start) / len(batches))
        start = time.perf_counter()
        update(optimizer, 0.0, optim.global_norm(optimizer.parameters()), recipe.clip)
        updates.append(time.perf_counter() - start)
    worked, own, gone_by = (now - then for now, then in zip(_processors(), before, strict=True))
    low, middle, high = np.quantile(passes[1:], (0.25, 0.5, 0.75)).tolist()  # the first warms up
    return Measured(
        base, peak_bytes(), base_virtual, peak_virtual_bytes(), recipe.batch_size,
        (low, middle, high), float(np.median(updates[1:] or updates)),
        max(0.0, worked - own) / (gone_by * (os.cpu_count() or 1)),
    )


def _affordable(
    objective: Objective, model: nn.Module, optimizer: optim.Optimizer, room: int
) -> int:
    """The largest micro-batch, up to the objective's own, that keeps to `room` and PASS."""
    rng, wanted = np.random.default_rng(0), objective.config.training.batch_size
    one, two = (objective.with_training(batch_size=size) for size in (1, 2))
    before = resident_bytes()
    seconds = 0.0
    for _ in range(2):  # the first warms up
        start = time.perf_counter()
        gradients(model, [one.example(rng)], objective.loss, optimizer)
        seconds = time.perf_counter() - start
    counted = two.activation_bytes() - one.activation_bytes()
    each = counted or max(peak_bytes() - before, 1)  # with the gradients: rather too much
    return max(1, min(wanted, int(PASS / seconds), room // each))


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
    OBJECTIVES[request["config"]["objective"]] = request["place"]  # it may be the caller's own
    config = from_dict(request["config"])
    made = find_objective(config.objective)(config)
    trial = _trial(made, request["seconds"], request["room"])
    print(json.dumps(asdict(trial)))
