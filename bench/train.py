"""Training speed, ours and PyTorch's, on the shapes S, M, B and L of tinygpt/configs.

    python -m bench train --config M                         ours alone
    python -m bench train --config M --peer torch --rounds 7 both, in turn, and the ratios
    python -m bench train --config M --tree ../parent        ours and an older checkout's
    python -m bench train --config B --family llama --peer torch

Each program runs in a process of its own (worker.py). A step is everything an optimizer step costs:
forward, backward, clipping, AdamW, on seeded random tokens. Llama and Qwen3 have half as many key
heads as query heads; an encoder is asked for 15 % of its tokens. MFU is the model's arithmetic,
(6 N + 12 L C T) flops a token (Chowdhery et al. 2022, appendix B), against the fastest float32
product of 1024 x 1024 matrices that either process reached in the same run.

Read next: worker.py, peers/torch_gpt.py, peers/torch_llama.py, peers/torch_bert.py.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from kernels import ISAS

ROOT = Path(__file__).resolve().parent.parent
BLOCK_SECONDS = 1.0  # of steps in one turn of a worker
GROUPED = ("llama", "qwen3")  # half as many key heads as query heads
PEERS = ("gpt", "llama", "bert")  # families that PyTorch's side is written for
VOCABULARY = {"S": 65, "M": 65, "B": 4096, "L": 65}


def read_spec(config: str, threads: int, family: str = "gpt") -> dict[str, Any]:
    """Shape and batch of a shipped configuration, as the workers take it."""
    from tinygpt.config import load_config

    loaded = load_config(config)
    if family != "gpt":
        half = loaded.model.n_heads // 2
        grouped = [f"model.n_kv_heads={half}"] if family in GROUPED else []
        loaded = load_config(config, [f"model.family={family}", *grouped])
    model = asdict(loaded.model) | {"vocab_size": VOCABULARY[config], "d_ff": loaded.model.hidden}
    return {**model, "batch_size": loaded.training.batch_size, "threads": threads, "compile": False}


def flops_per_step(spec: dict[str, Any]) -> float:
    """Of the model that a spec describes, whoever trains it."""
    from tinygpt.model.shape import ModelShape

    shape = ModelShape(**{k: v for k, v in spec.items() if k in ModelShape.__dataclass_fields__})
    return shape.flops_per_token * spec["batch_size"] * shape.context


class Worker:
    """A worker process and what it has told."""

    def __init__(self, peer: str, spec: dict[str, Any], isa: str | None, clock: str, tree=None):
        from bench.timing import python_of, thread_environment

        command = [python_of(tree), "-m", "bench.worker", json.dumps({**spec, "peer": peer})]
        started = time.time()
        self.process = subprocess.Popen(
            command, cwd=tree or ROOT, env=thread_environment(spec["threads"], isa, clock),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        ready = self._read()
        self.first_step_seconds = ready["first_step_at"] - started
        self.first_loss = ready["first_loss"]
        self.blocks: list[float] = []  # median seconds of a step, turn by turn
        self.sgemm: dict[str, float] = {}

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request (worker.py lists them) and wait for its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException(
                f"the worker ended with exit code {self.process.wait()}; its last words are above"
            )
        return json.loads(line)

    def turn(self, count: int) -> None:
        """One block of steps."""
        self.blocks.append(statistics.median(self.ask(do="steps", count=count)["seconds"]))

    def measure_sgemm(self) -> None:
        """Keep the best rate of each product."""
        for name, rate in self.ask(do="sgemm").items():
            self.sgemm[name] = max(rate, self.sgemm.get(name, 0.0))

    def close(self) -> None:
        """End the process: its input ends."""
        self.process.stdin.close()
        self.process.wait(timeout=30)


def measure(
    peers: list[str],
    spec: dict[str, Any],
    isa: str | None,
    rounds: int,
    steps: int | None,
    clock: str = "wall",
    tree: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Let the workers take turns; a result for each.  tree: where the peer "tree" stands."""
    workers = {name: Worker(name, spec, isa, clock) for name in peers if name != "tree"}
    if "tree" in peers:
        workers["tree"] = Worker("ours", spec, isa, clock, tree)
    counts = {}
    for name, worker in workers.items():  # warm-up, and how many steps fill a turn
        seconds = worker.ask(do="steps", count=3 if steps is None else min(3, steps))["seconds"]
        fitting = max(2, min(200, round(BLOCK_SECONDS / min(seconds))))
        counts[name] = steps or fitting
        worker.ask(do="steps", count=min(fitting, 20))
        worker.memory = worker.ask(do="memory")  # before the products below take any
    for number in range(rounds):
        for name, worker in workers.items():
            worker.turn(counts[name])
        if number in (0, rounds // 2, rounds - 1):
            for worker in workers.values():
                worker.measure_sgemm()
    peak = max(rate for worker in workers.values() for rate in worker.sgemm.values())
    results = {name: summary(worker, spec, peak) for name, worker in workers.items()}
    for worker in workers.values():
        worker.close()
    return results


def summary(worker: Worker, spec: dict[str, Any], peak_gflops: float) -> dict[str, Any]:
    """The figures of one worker, in the units of their names."""
    seconds = statistics.median(worker.blocks)
    return {
        "tokens_per_second": spec["batch_size"] * spec["context"] / seconds,
        "ms_per_step": 1e3 * seconds,
        "mfu": flops_per_step(spec) / seconds / 1e9 / peak_gflops,
        "sgemm_gflops": peak_gflops,
        "first_step_seconds": worker.first_step_seconds,
        **worker.memory,
        "blocks_ms": [1e3 * block for block in worker.blocks],
        "sgemm": worker.sgemm,
    }


@click.command()
@click.option("--config", "name", type=click.Choice("SMBL"), default="S", help="The shape.")
@click.option("--family", type=click.Choice([*PEERS, "qwen3"]), default="gpt",
              show_default=True,
              help=f"What the shape is filled with; the peer has {', '.join(PEERS)}.")
@click.option("--steps", type=int, help="Steps in one turn (default: about a second of them).")
@click.option("--rounds", type=int, default=5, show_default=True, help="Turns of each program.")
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--isa", type=click.Choice(ISAS), help="Restrict both.")
@click.option("--peer", type=click.Choice(["torch"]), help="Measure this program in turn with us.")
@click.option("--tree", type=click.Path(exists=True, file_okay=False),
              help="Measure another checkout of ours, by the Python in its .venv, in turn with us.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the peer's model.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="cpu: by CPU time, for one thread on a machine that others keep busy.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def command(name, family, steps, rounds, threads, isa, peer, tree, compiled, clock, as_json):
    """Training steps: tokens/s, ms a step, MFU, peak memory, seconds to the first step."""
    from bench import timing

    if clock == "cpu" and threads != 1:
        raise click.BadParameter(
            "CPU time tells something with --threads 1 only", param_hint="--clock"
        )
    if peer and family not in PEERS:
        raise click.BadParameter(
            f"PyTorch's side is written for {', '.join(PEERS)}, not {family}",
            param_hint="--family",
        )
    other = "tree" if tree else f"torch_{family}" if peer else None
    peers = ["ours"] + ([other] if other else [])
    spec = read_spec(name, threads, family) | {"compile": compiled}
    results = measure(peers, spec, isa, rounds, steps, clock, tree)
    ours = results["ours"]
    if other is None:
        if as_json:
            click.echo(json.dumps({"config": name, **ours, "commit": timing.commit()}))
        else:
            show(name, results)
        return
    theirs = results[other]
    pairs = zip(ours["blocks_ms"], theirs["blocks_ms"], strict=True)
    speedup = timing.spread([b / a for a, b in pairs])
    memory = ours["peak_rss_bytes"] / theirs["peak_rss_bytes"]
    start = ours["first_step_seconds"] / theirs["first_step_seconds"]
    if as_json:
        ratios = {"speedup": speedup._asdict(), "memory_ratio": memory, "first_step_ratio": start}
        both = {"ours": ours, peer or "tree": theirs}
        click.echo(json.dumps({"config": name, **ratios, **both, "commit": timing.commit()}))
        return
    show(name, results)
    click.echo(
        f"speedup {speedup} (median [quartiles] of {speedup.count} ratios)   "
        f"peak memory {memory:.2f}x   first step {start:.2f}x"
    )


def show(name: str, results: dict[str, dict[str, Any]]) -> None:
    """A table of the programs."""
    from bench import timing

    click.echo(f"config {name}: {timing.headline()}")
    for r in results.values():
        click.echo(
            f"{r['name']:26} {r['isa']:>8} x{r['threads']}  {r['tokens_per_second']:9,.0f} tokens/s"
            f"  {r['ms_per_step']:8.2f} ms/step  MFU {r['mfu']:5.1%} of {r['sgemm_gflops']:.0f}"
            f" GFLOP/s  peak {r['peak_rss_bytes'] / 2**20:5.0f} MiB"
            f"  first step {r['first_step_seconds']:5.2f} s"
        )
