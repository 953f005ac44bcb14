"""A pipeline on paper: which stage works on which microbatch at which time.

A model too large for one machine is cut into p stages, and a step's batch into m microbatches that
follow each other through them. While the first comes down the pipeline and the last runs out of it,
stages wait: the bubble. In `one_f_one_b` a stage does a backward as soon as it can, so that it
never keeps more than p microbatches' activations; its bubble is (p - 1) / m of the work. In
`interleaved` each stage holds v smaller chunks of layers, and the pipeline is as long but moves on
v times as often: (p - 1) / (v m).

`simulate` knows no formula: it has each stage do its list of tasks in order, each as soon as what
it needs has arrived. The formulas are what the tests hold it to; where they say nothing (links that
take time, a slow stage) it goes on.

Source: Narayanan et al. 2021, Efficient Large-Scale Language Model Training on GPU Clusters.
Read next: step.py, which makes seconds of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Task(NamedTuple):
    """forward or backward of one microbatch through one chunk of layers."""

    forward: bool
    chunk: int
    micro: int


class Event(NamedTuple):
    """A task done by a stage, from start to end."""

    stage: int
    task: Task
    start: float
    end: float


Order = list[list[Task]]  # of each stage


def one_f_one_b(stages: int, micros: int) -> Order:
    """Each stage warms up with as many forwards as stages follow it, then takes turns."""
    _check(stages, micros, 1)
    return [turns(micros, min(micros, stages - 1 - s), _whole) for s in range(stages)]


def all_forward(stages: int, micros: int) -> Order:
    """Every forward before the first backward (GPipe): the same bubble, m microbatches kept."""
    _check(stages, micros, 1)
    return [turns(micros, micros, _whole) for _ in range(stages)]


def interleaved(stages: int, micros: int, chunks: int) -> Order:
    """1F1B where stage s holds chunks s, s + p, s + 2p, ... of the layers.

    micros: a multiple of stages.  Raises ValueError.
    """
    _check(stages, micros, chunks)
    if chunks == 1:
        return one_f_one_b(stages, micros)
    if micros % stages:
        raise ValueError(f"interleaved: {micros} microbatches are no multiple of {stages} stages")
    group, total = stages * chunks, micros * chunks

    def task(forward: bool, k: int) -> Task:
        chunk = k // stages % chunks
        micro = k // group * stages + k % stages
        return Task(forward, chunk if forward else chunks - 1 - chunk, micro)

    warm = [2 * (stages - 1 - s) + (chunks - 1) * stages for s in range(stages)]
    return [turns(total, min(total, w), task) for w in warm]


def _whole(forward: bool, k: int) -> Task:
    return Task(forward, 0, k)


def turns(count: int, warm: int, task: Callable[[bool, int], Task]) -> list[Task]:
    """`warm` forwards, then a forward and a backward in turn, then the backwards that are left.

    count: of each.  task: makes the k-th (from 0), forward or backward.
    """
    tasks = [task(True, k) for k in range(warm)]
    for k in range(warm, count):
        tasks += [task(True, k), task(False, k - warm)]
    return tasks + [task(False, k) for k in range(count - warm, count)]


def simulate(
    order: Order, forward: float, backward: float, link: float = 0.0,
    slower: Sequence[float] | None = None,
) -> list[Event]:
    """What each stage does when, in order of time.

    order: from one of the schedules.  forward, backward: seconds of one chunk.  link: seconds from
    a stage to the next.  slower: factors by which each stage takes longer (stragglers).
    Raises ValueError for an order that waits for itself.
    """
    stages = len(order)
    chunks = 1 + max(task.chunk for tasks in order for task in tasks)
    factor = [1.0] * stages if slower is None else list(slower)
    done: dict[tuple[int, Task], float] = {}  # stage and task: when it ended
    free, at = [0.0] * stages, [0] * stages
    events: list[Event] = []
    while any(at[s] < len(order[s]) for s in range(stages)):
        moved = False
        for s in range(stages):
            while at[s] < len(order[s]):
                task = order[s][at[s]]
                need = _before(s, task, stages, chunks)
                if need is not None and need not in done:
                    break
                arrived = 0.0
                if need is not None:
                    arrived = done[need] + (link if need[0] != s else 0.0)
                start = max(free[s], arrived)
                end = start + factor[s] * (forward if task.forward else backward)
                free[s] = done[s, task] = end
                events.append(Event(s, task, start, end))
                at[s], moved = at[s] + 1, True
        if not moved:
            raise ValueError("a schedule in which every stage waits for another")
    return sorted(events, key=lambda event: (event.start, event.stage))


def _before(stage: int, task: Task, stages: int, chunks: int) -> tuple[int, Task] | None:
    """What must have ended, and where: None for a forward that begins the model."""
    forward, chunk, micro = task
    if forward:
        if stage > 0:
            return stage - 1, task
        return (stages - 1, Task(True, chunk - 1, micro)) if chunk > 0 else None
    if stage < stages - 1:
        return stage + 1, task
    if chunk < chunks - 1:
        return 0, Task(False, chunk + 1, micro)
    return stage, Task(True, chunk, micro)


def makespan(events: Sequence[Event]) -> float:
    """Seconds from the first start to the last end."""
    return max(event.end for event in events) - min(event.start for event in events)


def bubble(events: Sequence[Event]) -> float:
    """Seconds that the busiest stage waits, as a share of those it works."""
    work: dict[int, float] = {}
    for event in events:
        work[event.stage] = work.get(event.stage, 0.0) + event.end - event.start
    return makespan(events) / max(work.values()) - 1


def in_flight(events: Sequence[Event], stage: int = 0) -> int:
    """Chunks whose activations a stage keeps at most: forwards whose backward has not ended."""
    changes = [(e.end, -1) if not e.task.forward else (e.start, 1)
               for e in events if e.stage == stage]
    kept = most = 0
    for _, change in sorted(changes):
        kept += change
        most = max(most, kept)
    return most


def _check(stages: int, micros: int, chunks: int) -> None:
    for name, value in (("stages", stages), ("microbatches", micros), ("chunks", chunks)):
        if value < 1:
            raise ValueError(f"a pipeline has at least 1 of its {name}, not {value}")
