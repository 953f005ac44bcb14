"""The program that race.py starts: train until the held-out loss is low enough.

Prints a line of JSON for each evaluation: {"step": ..., "seconds": ..., "loss": ...}, the seconds
being those since the process was asked for, without the time spent evaluating.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

Turn = tuple[int, bool, Callable[[], float]]  # steps done, is it the last, evaluate
ORDERS = 6  # characters of an n-gram, the last included: the best on the training text's last tenth


def ours(spec: dict[str, Any]) -> Iterator[Turn]:
    """Our training, as `tinygpt train` does it: a turn after each step."""
    import kernels
    from tinygpt.config import load_config
    from tinygpt.training.begin import begin
    from tinygpt.training.loop import train

    kernels.set_num_threads(spec["threads"])
    config = load_config(spec["config"], [f"data.source={spec['data']}", *spec["overrides"]])
    recipe = config.training
    with tempfile.TemporaryDirectory() as folder:
        session = begin(config, f"{folder}/run")
        steps = train(
            session.model, session.batches, session.objective.loss, session.optimizer,
            session.schedule, session.state, steps=recipe.steps,
            accumulation=recipe.accumulation, clip=recipe.clip,
        )

        def evaluate() -> float:
            return session.objective.evaluate(session.model)

        for metrics in steps:
            yield metrics.step, metrics.step == recipe.steps, evaluate


def torch(spec: dict[str, Any]) -> Iterator[Turn]:
    """A recipe in PyTorch: nanoGPT's, as its train.py has it, or one of ours with PyTorch's Muon.

    Of ours it has the shape, ALiBi, bigrams, the initial weights, the optimizer and its rates.
    """
    import numpy as np

    # isort: split
    import torch

    from bench.peers.torch_gpt import GPT, make_muon, make_optimizer
    from tinygpt.config import load_config

    torch.set_num_threads(spec["threads"])
    config = load_config(spec["config"], spec["overrides"])
    recipe, shape = config.training, config.model
    train, held, size = characters(spec["data"])
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    T, B = shape.context, recipe.batch_size
    sizes = (size, T, shape.n_layers, shape.n_heads, shape.d_model)
    if recipe.optimizer == "muon":
        std = 0.02 * (768 / shape.d_model) ** 0.5  # as tinygpt/model/block.py
        alibi = shape.alibi_scale if shape.positions == "alibi" else None
        model = GPT(*sizes, alibi=alibi, bigrams=shape.bigrams, std=std)
        optimizers = make_muon(model, recipe)
    else:
        model = GPT(*sizes)
        optimizers = [make_optimizer(model, recipe.lr, recipe.beta2, recipe.weight_decay)]
    schedule = cosine(recipe)

    def evaluate() -> float:
        whole = torch.from_numpy(held[: (len(held) - 1) // T * T + 1])
        x, y = whole[:-1].view(-1, T), whole[1:].view(-1, T)
        with torch.no_grad():
            losses = [model(x[i : i + 64], y[i : i + 64]) * len(x[i : i + 64])
                      for i in range(0, len(x), 64)]
        return float(sum(losses) / len(x))

    for step in range(recipe.steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = schedule(step) * group.get("lr_scale", 1.0)
        starts = rng.integers(0, len(train) - T, B)
        windows = torch.from_numpy(np.stack([train[s : s + T + 1] for s in starts]))
        loss = model(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()
        yield step + 1, step + 1 == recipe.steps, evaluate


def ngram(spec: dict[str, Any]) -> Iterator[Turn]:
    """Counts of n-grams (ngrams.py): a turn for each length, from single characters on."""
    from tinygpt.data.ngrams import growing, loss

    train, held, size = characters(spec["data"])
    for order, model in enumerate(growing(train, size, ORDERS), 1):
        yield order, order == ORDERS, partial(loss, model, held, size)


def characters(path: str) -> tuple[Any, Any, int]:
    """The ids (N,) int64 of a text's characters to learn from, those held out, and how many kinds
    there are."""
    import numpy as np

    with open(path, encoding="utf-8") as file:
        text = np.array(list(file.read()))
    kinds, ids = np.unique(text, return_inverse=True)
    cut = int(len(ids) * 0.9)
    return ids[:cut].astype(np.int64), ids[cut:].astype(np.int64), len(kinds)


def cosine(recipe: Any) -> Callable[[int], float]:
    """nanoGPT's schedule, from our own definition of it (no import of minigrad for the peer)."""
    import math

    def rate(step: int) -> float:
        if step < recipe.warmup_steps:
            return recipe.lr * (step + 1) / (recipe.warmup_steps + 1)
        progress = (step - recipe.warmup_steps) / (recipe.steps - recipe.warmup_steps)
        return recipe.min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (
            recipe.lr - recipe.min_lr
        )

    return rate


def main() -> None:
    spec = json.loads(sys.argv[1])
    program = {"ours": ours, "torch": torch, "ngram": ngram}[spec["peer"]]
    now = time.time
    if os.environ.get("BENCH_CLOCK") == "cpu":
        now, spec["started"] = time.process_time, 0.0
    paused = 0.0
    for step, is_last, evaluate in program(spec):
        if is_last or (step >= spec["eval_from"] and step % spec["eval_every"] == 0):
            before = now()
            seconds = before - spec["started"] - paused
            loss = evaluate()
            paused += now() - before
            print(json.dumps({"step": step, "seconds": seconds, "loss": loss}), flush=True)
            if loss <= spec["target"]:
                return


if __name__ == "__main__":
    main()
