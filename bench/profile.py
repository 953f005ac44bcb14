"""Where a training step of ours goes, op by op: look here before optimizing anything.

    python -m bench profile --config M --threads 1

Wraps every function of `kernels.active` in a stopwatch for some steps. What is left over is Python:
the tape, the optimizer's loop, the glue between two kernels.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import click

from bench.train import PEERS, read_spec


class Stopwatch:
    """Seconds and calls by op name."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def around(self, name: str, op: Callable) -> Callable:
        """`op`, with its seconds and calls counted under `name`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self._clock()
            result = op(*args, **kwargs)
            self.seconds[name] += self._clock() - start
            self.calls[name] += 1
            return result

        return timed


@click.command()
@click.option("--config", "name", type=click.Choice("SMBL"), default="S", help="The shape.")
@click.option("--family", type=click.Choice([*PEERS, "qwen3"]), default="gpt", show_default=True)
@click.option("--steps", type=int, default=20, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True)
def command(name, family, steps, threads):
    """Where a training step of ours goes, op by op."""
    import kernels
    from bench import timing
    from bench.peers.ours import Trainer
    from bench.worker import make_batches

    spec = read_spec(name, threads, family)
    trainer, batches = Trainer(spec), make_batches(spec)
    for i in range(3):
        trainer.step(*batches[i])
    watch = Stopwatch(timing.clock)
    plain = {op: getattr(kernels.active, op) for op in kernels.OPS}
    for op, function in plain.items():
        setattr(kernels.active, op, watch.around(op, function))
    times = []
    for i in range(steps):
        start = timing.clock()
        trainer.step(*batches[i % len(batches)])
        times.append(timing.clock() - start)
    for op, function in plain.items():
        setattr(kernels.active, op, function)
    total = sum(times)
    watch.seconds["(Python between them)"] = total - sum(watch.seconds.values())
    click.echo(f"{timing.headline()}, config {name}, {threads} thread(s)")
    click.echo(f"{1e3 * statistics.median(times):.2f} ms a step")
    for op, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        calls = watch.calls[op] / steps
        click.echo(
            f"{op:34} {seconds / total:6.1%}  {1e3 * seconds / steps:8.3f} ms  {calls:5.0f} calls"
        )
