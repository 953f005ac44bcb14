"""The runs that the dial's laws are fitted on: one training gives a point for several lengths.

A rate that stays and then falls to nothing (warm-up, trunk, decay) makes a long training and a
short one the same until the short one's decay. So a trunk is walked once: where a shorter training
would have begun to decay, a branch does, is judged by its bits per byte on held-out text, and the
trunk goes on from where it stood.

    python -m bench.dial_runs my.txt 512 --width 96 --layers 3 --lengths 150,500

Read next: dial.py, which fits the laws.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

DECAY = 0.2  # of a training's steps, its rate falling to nothing
HELD_TOKENS = 60_000  # looked at when a branch ends


def curve(
    text: Path, tokenizer: str, shape: dict[str, Any], batch: int, lengths: list[int],
    overrides: list[str],
) -> Iterator[dict[str, Any]]:
    """A line for each length of training, shortest first.

    tokenizer: "char", or how many entries BPE has.  batch: sequences.  lengths: steps.
    """
    from tinygpt.config import from_dict, override
    from tinygpt.inference.scoring import mean_loss
    from tinygpt.training.begin import begin
    from tinygpt.training.loop import train

    bpe = tokenizer != "char"
    kind = {"kind": "bpe", "vocab_size": int(tokenizer)} if bpe else {"kind": "char"}
    recipe = {"optimizer": "muon", "lr": 1e-2, "min_lr": 0.0, "warmup_steps": 20,
              "steps": lengths[-1], "batch_size": batch, "weight_decay": 0.1}
    config = from_dict(override({
        "model": shape, "tokenizer": kind, "training": recipe,
        "data": {"source": str(text), "split": (0.9, 0.1, 0.0), "by_position": True},
    }, overrides))
    with tempfile.TemporaryDirectory() as folder:
        session = begin(config, Path(folder) / "run")
        dataset, lr = session.objective.dataset, config.training.lr
        held = len(dataset.tokenizer.decode_bytes(list(dataset.validation)))
        learned = text.stat().st_size - held
        started, made = time.process_time(), 0

        def walk(steps: int, rate) -> None:
            nonlocal made
            for _ in train(session.model, session.batches, session.objective.loss,
                           session.optimizer, rate, session.state, steps=steps, clip=1.0):
                made += 1

        for length in lengths:
            trunk = length - round(DECAY * length)
            walk(trunk, lambda step: lr * min(1.0, (step + 1) / 20))
            kept = (session.model.state_dict(), session.optimizer.state_dict(),
                    session.batches.state_dict())
            kept, state = copy.deepcopy(kept), session.state.to_dict()
            walk(length, lambda step, a=trunk, b=length: lr * (b - step) / (b - a + 1))
            nats = mean_loss(session.model, dataset.validation, HELD_TOKENS)
            bits = nats / math.log(2) * len(dataset.validation) / held
            tokens = length * batch * config.model.context
            yield {
                "text": text.stem, "bytes": learned, "tokenizer": tokenizer,
                "vocab": dataset.vocab_size, "train_tokens": len(dataset.train),
                "layers": shape["n_layers"], "width": shape["d_model"],
                "context": shape["context"], "dropout": config.model.dropout,
                "parameters": session.model.count_parameters(),
                "flops": session.model.flops_per_token() * tokens, "batch": batch,
                "steps": length, "tokens": tokens, "lr": lr,
                "decay": config.training.weight_decay,
                "passes": tokens / len(dataset.train), "bits": round(bits, 4),
                "cpu": round(time.process_time() - started, 1),
                "cpu_step": round((time.process_time() - started) / made, 4),
            }
            session.model.load_state_dict(kept[0])
            session.optimizer.load_state_dict(kept[1])
            session.batches.load_state_dict(kept[2])
            session.state.load_dict(state)


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.argument("tokenizer")
@click.option("--width", type=int, required=True)
@click.option("--layers", type=int, required=True)
@click.option("--context", type=int, default=128, show_default=True)
@click.option("--batch", type=int, default=8, show_default=True, help="Sequences.")
@click.option("--lengths", required=True, help="Steps, as 250,500,1000.")
@click.option("--set", "overrides", multiple=True)
def command(text, tokenizer, width, layers, context, batch, lengths, overrides):
    """One curve as lines of JSON."""
    shape = {"n_layers": layers, "d_model": width, "n_heads": max(1, width // 32),
             "context": context, "positions": "alibi"}
    steps = [int(n) for n in lengths.split(",")]
    for line in curve(text, tokenizer, shape, batch, steps, list(overrides)):
        click.echo(json.dumps(line))
        sys.stdout.flush()


if __name__ == "__main__":
    command()
