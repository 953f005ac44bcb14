"""Where a training step goes, phase by phase: data, forward, backward, clip, optimizer.

    python -m bench shares                          S and M, with Muon and with AdamW
    python -m bench shares --config L --threads 1

The very objects of `tinygpt train` (tinygpt/training/session.py) on random characters, driven as
training/loop.py drives them. The optimizers take turns, some steps each; shares are medians of the
rounds with their quartiles.

Read next: profile.py (op by op).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

PHASES = ("data", "forward", "backward", "clip", "optimizer")
CHARACTERS = 100_000


class Phases:
    """One training, and the seconds that each phase of its steps has taken so far."""

    def __init__(self, config: str, optimizer: str, folder: Path):
        from bench.profile import Stopwatch
        from bench.timing import clock
        from minigrad import optim
        from tinygpt.config import load_config
        from tinygpt.training import step
        from tinygpt.training.begin import begin

        text = folder / "text.txt"
        codes = np.random.default_rng(0).integers(32, 97, CHARACTERS, dtype=np.uint8)
        text.write_bytes(codes.tobytes())
        settings = [f"data.source={text}", f"training.optimizer={optimizer}"]
        self.session = begin(load_config(config, settings), folder / f"{config}-{optimizer}")
        self.watch = Stopwatch(clock)
        self.draw = self.watch.around("data", lambda: next(self.session.batches))
        self.loss = self.watch.around("forward", self.session.objective.loss)
        self.gradients = self.watch.around("both ways", step.gradients)
        self.norm = self.watch.around("clip", optim.global_norm)
        self.update = self.watch.around("optimizer", step.update)

    def step(self) -> None:
        """One step, as training/loop.py makes it."""
        session = self.session
        self.gradients(session.model, [self.draw()], self.loss, session.optimizer)
        norm = self.norm(session.optimizer.parameters())
        self.update(session.optimizer, 1e-3, norm, session.config.training.clip)

    def turn(self, steps: int) -> dict[str, float]:
        """Milliseconds a step of each phase over some steps."""
        self.watch.seconds.clear()
        for _ in range(steps):
            self.step()
        seconds: Any = self.watch.seconds
        seconds["backward"] = seconds["both ways"] - seconds["forward"]
        return {phase: 1e3 * seconds[phase] / steps for phase in PHASES}


def measure(turns: dict[str, Callable[[int], Any]], rounds: int, steps: int) -> dict[str, list]:
    """What each turn gave, `rounds` times, in turn, after one of each that does not count."""
    found: dict[str, list] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            given = turn(steps)
            if number:
                found[name].append(given)
    return found


@click.command()
@click.option("--config", "names", type=click.Choice("SMBL"), multiple=True, default=("S", "M"),
              show_default=True, help="The shape; may be given several times.")
@click.option("--optimizer", "optimizers", type=click.Choice(["muon", "adamw", "adamw8bit"]),
              multiple=True, default=("muon", "adamw"), show_default=True)
@click.option("--rounds", type=int, default=7, show_default=True, help="Turns of each optimizer.")
@click.option("--steps", type=int, default=10, show_default=True, help="Steps in one turn.")
@click.option("--threads", type=int, default=2, show_default=True)
def command(names, optimizers, rounds, steps, threads):
    """Where a training step goes: data, forward, backward, clip, optimizer."""
    import kernels
    from bench import timing

    kernels.set_num_threads(threads)
    click.echo(f"{timing.headline()}, {threads} thread(s)")
    click.echo(f"{'':12} {'ms/step':>8}  " + "  ".join(f"{phase:22}" for phase in PHASES))
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            trainings = {which: Phases(name, which, Path(folder)) for which in optimizers}
            turns = {which: training.turn for which, training in trainings.items()}
            for which, found in measure(turns, rounds, steps).items():
                totals = [sum(turn.values()) for turn in found]
                shares = [
                    timing.spread([100 * turn[phase] / total
                                   for turn, total in zip(found, totals, strict=True)])
                    for phase in PHASES
                ]
                shown = "  ".join(f"{f'{share:.1f} %':22}" for share in shares)
                click.echo(f"{name} {which:10} {timing.spread(totals).median:8.2f}  {shown}")
