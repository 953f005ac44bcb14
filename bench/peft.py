"""What each method of fine-tuning costs: parameters, memory, time of a step.

    python -m bench peft                              SmolLM2-135M's shape, 512 tokens a step
    python -m bench peft --layers 6 --peer            a part of it, beside torch + peft
    python -m bench peft --learn FOLDER               what each learns and forgets: table, chart

Memory is the peak of a process of its own that builds the float base, adapts it and makes three
steps; "in steps" its peak after the building, where Linux can forget the first; "ledger" what
`plan` counts for such steps beforehand. Times are of steps made in turn, A B C A B C, in this
process, and are quoted as medians of ratios to a step that moves every weight.

Read next: peft_learn.py, peers/torch_peft.py.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from tinygpt.adapters.config import METHODS

ROOT = Path(__file__).resolve().parent.parent
SMOLLM2 = {
    "family": "llama", "vocab_size": 49152, "n_layers": 30, "n_heads": 9, "n_kv_heads": 3,
    "d_model": 576, "d_ff": 1536, "tied": True, "rope_theta": 1e5,
}
QWEN3 = {
    "family": "qwen3", "vocab_size": 151936, "n_layers": 28, "n_heads": 16, "n_kv_heads": 8,
    "head_dim": 128, "d_model": 1024, "d_ff": 3072,
}
SHAPES = {"smollm2": SMOLLM2, "qwen3": QWEN3}
COLUMNS = ("trained", "memory", "in steps", "ledger", "step", "of full")
FORGET = Path("/proc/self/clear_refs")


class Ours:
    """Steps of one method on random tokens."""

    def __init__(self, spec: dict[str, Any]):
        from minigrad import optim
        from tinygpt.adapters import MethodConfig, adapt
        from tinygpt.config import structure
        from tinygpt.model import ModelShape, build

        values = {**SHAPES[spec["shape"]], "context": spec["context"]}
        if spec["layers"]:
            values["n_layers"] = spec["layers"]
        self.shape = structure(ModelShape, values, "model.")
        self.model = build(self.shape, np.random.default_rng(0))
        method = MethodConfig(spec["method"], rank=spec["rank"])
        adapt(self.model, method, np.random.default_rng(1))
        self.model.recompute = spec["method"] == "qlora"
        self.learned = [p for p in self.model.parameters() if p.requires_grad]
        kind = optim.AdamW8bit if spec["method"] == "qlora" else optim.AdamW
        self.optimizer = kind(self.learned, lr=1e-4)
        self.tokens = spec["context"] - self.model.before

    def batch(self, rng: np.random.Generator) -> np.ndarray:
        """(1, T + 1) random ids."""
        return rng.integers(0, self.shape.vocab_size, (1, self.tokens + 1))

    def step(self, ids: np.ndarray) -> float:
        """One step; returns the loss."""
        from minigrad import optim

        self.optimizer.zero_grad()
        loss = self.model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        norm = optim.global_norm(self.learned)
        self.optimizer.step(grad_scale=optim.clip_scale(norm, 1.0))
        return loss.item()

    @property
    def trained(self) -> int:
        """Values that are learned."""
        return sum(p.data.size for p in self.learned)


def measure_memory(spec: dict[str, Any]) -> dict[str, Any]:
    """What a child process says of a method: trained values, peak bytes."""
    code = "import sys, json; from bench.peft import child; child(json.loads(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(spec)], cwd=ROOT, text=True, check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child(spec: dict[str, Any]) -> None:
    """Three steps, then a line of JSON."""
    from tinygpt.machine.memory import peak_bytes
    from tinygpt.planning.plan import estimate
    from tinygpt.planning.probe import warm_runtime

    runtime = warm_runtime()
    ours, rng = Ours(spec), np.random.default_rng(2)
    counted = estimate(objective_of(spec, ours.shape), runtime).total
    built = peak_bytes()
    if FORGET.exists():
        FORGET.write_text("5")  # the peak begins anew
    for _ in range(3):
        ours.step(ours.batch(rng))
    stepped = peak_bytes()
    print(json.dumps({
        "trained": ours.trained, "peak": max(built, stepped), "steps": stepped, "ledger": counted,
    }))


def objective_of(spec: dict[str, Any], shape: Any) -> Any:
    """The fine-tuning whose steps these are, without a base or data: what is needed to count."""
    from tinygpt.adapters import MethodConfig
    from tinygpt.finetuning.config import ConversationsConfig, FinetuningConfig, FinetuningRecipe
    from tinygpt.finetuning.objective import Finetuning

    quantized, method = spec["method"] == "qlora", MethodConfig(spec["method"], rank=spec["rank"])
    before = method.tokens * (method.name in ("prefix", "prompt"))
    return Finetuning(FinetuningConfig(
        base="a base", model=shape, method=method,
        data=ConversationsConfig(length=spec["context"] - before),
        training=FinetuningRecipe(
            batch_size=1, recompute=quantized, optimizer="adamw8bit" if quantized else "adamw"
        ),
    ))


def measure_times(specs: list[dict[str, Any]], rounds: int, clock: Any) -> np.ndarray:
    """Seconds of steps in turn, (rounds, methods); the first round of each is not counted."""
    trainers = [make(spec) for spec in specs]
    rng, found = np.random.default_rng(2), np.zeros((rounds + 1, len(trainers)))
    for i in range(rounds + 1):
        for j, trainer in enumerate(trainers):
            ids = trainer.batch(rng)
            start = clock()
            trainer.step(ids)
            found[i, j] = clock() - start
    return found[1:]


def make(spec: dict[str, Any]) -> Any:
    """A method of ours, or PEFT's."""
    if not spec["method"].startswith("peft-"):
        return Ours(spec)
    from bench.peers.torch_peft import Theirs

    return Theirs({**spec, "method": spec["method"].removeprefix("peft-")})


@click.command()
@click.option("--shape", type=click.Choice(list(SHAPES)), default="smollm2", show_default=True)
@click.option("--layers", type=int, default=0, help="Fewer layers than the shape has.")
@click.option("--context", type=int, default=512, show_default=True)
@click.option("--rank", type=int, default=8, show_default=True)
@click.option("--rounds", type=int, default=5, show_default=True, help="Steps of each method.")
@click.option("--methods", default=",".join(METHODS), show_default=True)
@click.option("--peer", is_flag=True, help="Beside torch + peft: full and lora.")
@click.option("--memory/--no-memory", default=True, help="Peak of a process for each method.")
@click.option("--times/--no-times", default=True)
@click.option("--cpu-time", is_flag=True, help="Of the CPU, where others work too.")
@click.option("--learn", type=click.Path(file_okay=False, path_type=Path),
              help="Teach a small model a task by each method; results go into this folder.")
@click.option("--draw", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Measure nothing: table and chart of such a folder.")
def command(
    shape, layers, context, rank, rounds, methods, peer, memory, times, cpu_time, learn, draw
):
    """Method by method: what is trained, peak memory, seconds a step; or what is learned."""
    import time

    from bench import peft_learn
    from bench.timing import clock

    names = methods.split(",")
    if learn or draw:
        if learn:
            peft_learn.learn(learn, names)
        return peft_learn.show(learn or draw)
    base = {"shape": shape, "layers": layers, "context": context, "rank": rank}
    specs = [{**base, "method": name} for name in names]
    rows = {name: dict.fromkeys(COLUMNS, "") for name in names}
    if memory:
        for spec in specs:
            found = measure_memory(spec)
            row = rows[spec["method"]]
            row["trained"] = f"{found['trained']:,}"
            row["memory"], row["in steps"], row["ledger"] = (
                f"{found[key] / 1e6:,.0f} MB" for key in ("peak", "steps", "ledger")
            )
    if peer:
        specs += [{**base, "method": name} for name in ("peft-full", "peft-lora")]
    if times:
        seconds = measure_times(specs, rounds, time.process_time if cpu_time else clock)
        for spec, column in zip(specs, seconds.T, strict=True):
            row = rows.setdefault(spec["method"], dict.fromkeys(COLUMNS, ""))
            row["step"] = f"{np.median(column):.3f} s"
            row["of full"] = f"{np.median(column / seconds[:, 0]):.3f}"
    click.echo(f"{shape}, {layers or 'all'} layers, {context} tokens, rank {rank}")
    click.echo("".join(f"{title:>12}" for title in ("method", *COLUMNS)))
    for name, row in rows.items():
        click.echo("".join(f"{text:>12}" for text in (name, *row.values())))


def shape_of(spec: dict[str, Any]) -> dict[str, Any]:
    """The values of a shape as another program's configuration needs them."""
    from tinygpt.config import structure
    from tinygpt.exchange.huggingface_write import write_config
    from tinygpt.model import ModelShape

    values = {**SHAPES[spec["shape"]], "context": spec["context"]}
    shape = structure(ModelShape, values, "model.")
    if spec["layers"]:
        shape = dataclasses.replace(shape, n_layers=spec["layers"])
    return write_config(shape, {})
