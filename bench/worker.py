"""One training program in a process of its own, driven by lines of JSON over its pipes.

    {"do": "steps", "count": 20}     -> {"seconds": [...], "loss": ...}
    {"do": "sgemm"}                  -> {"numpy": GFLOP/s, "ours": GFLOP/s}
    {"do": "memory"}                 -> {"peak_rss_bytes": ...}

Two of them can live side by side: one that waits for a line uses no CPU, so train.py lets them work
in turn. The first answer comes after the first step and carries the time at which that was done.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def make_batches(spec: dict, count: int = 8) -> list:
    """Seeded random ids as (x, y) pairs, (B, T) int64 each; the same for every peer.

    y: the ids that follow x's; for an encoder those of x itself, of which 15 % are asked for.
    """
    import numpy as np

    rng = np.random.default_rng(1)
    shape = (count, spec["batch_size"], spec["context"] + 1)
    ids = rng.integers(0, spec["vocab_size"], shape)
    if spec["assembly"] == "encoder":
        asked = rng.permuted(np.arange(ids[0, :, 1:].size) % 20 < 3).reshape(ids[0, :, 1:].shape)
        whole = np.ascontiguousarray(ids[:, :, 1:])
        return [(x, np.where(asked, x, -1)) for x in whole]
    return [(np.ascontiguousarray(w[:, :-1]), np.ascontiguousarray(w[:, 1:])) for w in ids]


def timed_steps(trainer: Any, batches: list, count: int) -> dict:
    """Seconds of each of `count` steps."""
    from bench.timing import clock

    seconds, loss = [], 0.0
    for i in range(count):
        x, y = batches[i % len(batches)]
        start = clock()
        loss = trainer.step(x, y)
        seconds.append(clock() - start)
    return {"seconds": seconds, "loss": loss}


def main() -> None:
    spec = json.loads(sys.argv[1])
    trainer = importlib.import_module(f"bench.peers.{spec['peer']}").Trainer(spec)
    batches = make_batches(spec)
    first = trainer.step(*batches[0])
    answer({"first_step_at": time.time(), "first_loss": first})
    from bench import timing  # after the first step: its imports are not part of anybody's start
    from tinygpt.machine.memory import peak_bytes

    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "steps":
            answer(timed_steps(trainer, batches, request["count"]))
        elif request["do"] == "sgemm":
            answer({k: timing.sgemm_gflops(f) for k, f in trainer.products().items()})
        elif request["do"] == "memory":
            answer({"peak_rss_bytes": peak_bytes(), **trainer.describe()})


def answer(value: dict) -> None:
    """One line of JSON to whoever drives us, sent at once."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
