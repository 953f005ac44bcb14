"""AdamW with 8-bit moments against AdamW: the loss curves of config M on the same batches.

    python -m bench.adamw8bit --steps 300 [--data FILE]

Prints the ratio of the smoothed losses along the way, and the seconds of each update.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from minigrad import optim
from tinygpt.config import load_config
from tinygpt.training.begin import begin
from tinygpt.training.session import Session
from tinygpt.training.step import gradients, update


def step(session: Session, batch) -> tuple[float, float]:
    """One training step.  Returns (loss, seconds of the update)."""
    gathered = gradients(session.model, [batch], session.objective.loss, session.optimizer)
    norm = optim.global_norm(session.optimizer.parameters())
    start = time.perf_counter()
    lr = session.schedule(session.state.step)
    update(session.optimizer, lr, norm, session.config.training.clip)
    session.state.step += 1
    return gathered.loss, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--data", default="stories")
    chosen = parser.parse_args()
    settings = [
        f"training.steps={chosen.steps}", "training.warmup_steps=50",
        f"training.batch_size={chosen.batch}", "data.stories_mb=2",
    ]
    config = load_config("M", settings).replace("data", source=chosen.data)
    with tempfile.TemporaryDirectory() as folder:
        sessions = [
            begin(config.replace("training", optimizer=kind), Path(folder) / kind)
            for kind in ("adamw", "adamw8bit")
        ]
        records = np.zeros((chosen.steps, 2, 2))
        for i in range(chosen.steps):
            batch = next(sessions[0].batches)
            for j, session in enumerate(sessions):
                records[i, j] = step(session, batch)
            if (i + 1) % max(1, chosen.steps // 10) == 0:
                a, b = records[max(0, i - 19) : i + 1, :, 0].mean(axis=0)
                print(f"step {i + 1:5}  adamw {a:.4f}  8-bit {b:.4f}  ratio {b / a:.4f}")
        losses = [session.objective.evaluate(session.model, 50_000) for session in sessions]
        nbytes = [sum(a.nbytes for s in x.optimizer.state for a in s.values()) for x in sessions]
    exact, eight = losses
    print(f"held-out: adamw {exact:.4f}, 8-bit {eight:.4f}, ratio {eight / exact:.4f}")
    print("bytes of state:", nbytes, "milliseconds of an update:",
          [round(1e3 * float(np.median(records[:, j, 1])), 1) for j in (0, 1)])


if __name__ == "__main__":
    main()
