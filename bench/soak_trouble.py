"""Trouble planted in a training: a NaN gradient, a stretch of garbage, a rate ten times too high.

Run through `python -m bench.soak trouble`. Over SEEDS seeds, each trouble's median loss on held-out
text is within 2 % of the clean training's, or the line says FAIL. One seed would not do: so small a
model ends between 0.87 and 1.16 even undisturbed, and whatever changes its path, be it the order of
a sum, moves a single ratio by some per cent.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np

from tinygpt.config import Config
from tinygpt.data.batches import Batch
from tinygpt.training.begin import begin
from tinygpt.training.session import Session
from tinygpt.training.trainer import Outcome, Trainer
from tinygpt.training.watch import Watcher

TOLERANCE = 0.02
SEEDS = 5


class Count(Watcher):
    """Counts events by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}

    def event(self, step: int, kind: str, text: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


def nan_gradient(session: Session) -> None:
    """Forward passes 300 and 420 give a loss that is not a number."""
    real, passes = session.model.loss, iter(range(10**9))

    def loss(ids, targets, label_smoothing=0.0):
        value = real(ids, targets, label_smoothing)
        if session.model.training and next(passes) in (300, 420):
            return value * np.float32("nan")
        return value

    session.model.loss = loss  # type: ignore[method-assign]


def garbage(session: Session) -> None:
    """Batches 300 to 302 are random tokens with random answers."""
    _replace_batches(session, range(300, 303))


def long_garbage(session: Session) -> None:
    """Batches 300 to 306 are garbage: longer than the patience, so training rolls back."""
    _replace_batches(session, range(300, 307))


def _replace_batches(session: Session, which: range) -> None:
    loader, rng, count = session.batches, np.random.default_rng(0), iter(range(10**9))
    vocabulary = session.config.model.vocab_size

    class Garbled:
        def __iter__(self):
            return self

        def __next__(self):
            ids, targets = next(loader)
            if next(count) in which:
                return Batch(*(rng.integers(0, vocabulary, ids.shape) for _ in range(2)))
            return Batch(ids, targets)

        def state_dict(self):
            return loader.state_dict()

        def load_state_dict(self, state):
            loader.load_state_dict(state)

    session.batches = Garbled()  # type: ignore[assignment]


def tenfold_rate(session: Session) -> None:
    """From step 300 the schedule gives ten times its rate, until training lowers it."""
    real = session.schedule
    session.schedule = lambda step: (10.0 if step >= 300 else 1.0) * real(step)


def run_all(folder: Path, config: Config) -> bool:
    """Train clean, then with each trouble, from SEEDS seeds.  Returns whether all recovered."""
    configs = [config.replace("training", seed=seed) for seed in range(SEEDS)]
    clean = [_run(folder / f"clean{n}", c, None)[0].val_loss for n, c in enumerate(configs)]
    print(f"{'clean':14} held-out {', '.join(f'{loss:.4f}' for loss in clean)}")
    passed = True
    for plant in (nan_gradient, garbage, long_garbage, tenfold_rate):
        runs = [_run(folder / f"{plant.__name__}{n}", c, plant) for n, c in enumerate(configs)]
        ratios = [run.val_loss / loss for (run, _), loss in zip(runs, clean, strict=True)]
        ended = all(run.step == config.training.steps for run, _ in runs)
        good = ended and statistics.median(ratios) <= 1 + TOLERANCE
        passed &= good
        print(f"{plant.__name__:14} of clean: median {statistics.median(ratios):.4f} of "
              f"{', '.join(f'{ratio:.4f}' for ratio in sorted(ratios))}; "
              f"{runs[0][1] or 'no events'}  {'ok' if good else 'FAIL'}", flush=True)
    return passed


def _run(path: Path, config: Config, plant) -> tuple[Outcome, dict[str, int]]:
    session, count = begin(config, path), Count()
    if plant is not None:
        plant(session)
    return Trainer(session, [count]).run(), count.kinds
