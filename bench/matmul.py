"""`python -m bench matmul`: matrix products on a GPT's shapes, ours against a BLAS.

For each dense layer of the reference configurations the three products of a training step:
forward x W^T, dx = dy W, dW = dy^T x. Ours and the peers run in one process with the same threads,
in turns, resting in between where there are several threads (timing.REST). The ratio is the peer's
time over ours: above 1 we are faster. The last column is our share of the best rate that anybody
reached on a 1024-cubed product in the same process.

    python -m bench matmul --shapes gpt --peer torch --isa avx2 --threads 1
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable

import click
import numpy as np

from bench import timing
from kernels import ISAS

# name: (rows of a batch, channels, vocabulary)
CONFIGS = {"S": (768, 128, 65), "M": (2048, 192, 65), "B": (2048, 256, 4096), "L": (4096, 384, 65)}
SQUARE = ("square 1024", 1024, 1024, 1024, "nn")


def gpt_shapes(configs: str) -> list[tuple[str, int, int, int, str]]:
    """(label, M, N, K, layout): layout nt is a b^T, nn is a b, tn is a^T b."""
    shapes = []
    for config in configs.split(","):
        R, C, V = CONFIGS[config]
        layers = {"qkv": (C, 3 * C), "proj": (C, C), "fc": (C, 4 * C), "out": (4 * C, C)}
        for layer, (inside, outside) in {**layers, "head": (C, V)}.items():
            shapes += [
                (f"{config} {layer} y", R, outside, inside, "nt"),
                (f"{config} {layer} dx", R, inside, outside, "nn"),
                (f"{config} {layer} dW", outside, inside, R, "tn"),
            ]
    return shapes


def small_shapes() -> list[tuple[str, int, int, int, str]]:
    """Few rows, as in generation: M = 1 is one token."""
    return [
        (f"{M} x {K} -> {N}", M, N, K, "nt")
        for M in (1, 2, 4, 8, 16, 32)
        for K, N in ((128, 512), (256, 1024), (384, 1536), (256, 4096))
    ]


def operands(M: int, N: int, K: int, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Random a (M, K) and b (K, N), stored transposed where the layout has a t."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((M, K) if layout[0] == "n" else (K, M), dtype=np.float32)
    b = rng.standard_normal((K, N) if layout[1] == "n" else (N, K), dtype=np.float32)
    return a if layout[0] == "n" else a.T, b if layout[1] == "n" else b.T


def rivals(a: np.ndarray, b: np.ndarray, peers: list[str]) -> dict[str, Callable[[], object]]:
    """The same product by each; all allocate their result."""
    import kernels

    calls: dict[str, Callable[[], object]] = {"ours": lambda: kernels.active.matmul_forward(a, b)}
    if "numpy" in peers:
        calls["numpy"] = lambda: np.matmul(a, b)
    if "torch" in peers:
        import torch

        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        calls["torch"] = lambda: torch.mm(ta, tb)
    return calls


def measure(shapes, peers: list[str], rounds: int, threads: int) -> list[dict]:
    """One record a shape: GFLOP/s of each rival and the ratio to the fastest peer."""
    import kernels

    kernels.set_num_threads(threads)
    if "torch" in peers:
        import torch

        torch.set_num_threads(threads)
    best = 0.0
    records = []
    for label, M, N, K, layout in [SQUARE, *shapes]:
        calls = rivals(*operands(M, N, K, layout), peers)
        times = timing.interleave(calls, rounds, 0.005, threads)
        flops = 2 * M * N * K / 1e9
        if (label, M, N, K, layout) == SQUARE:
            best = max(flops / min(series) for series in times.values())
        record = {"shape": label, "size": [M, N, K], "layout": layout}
        record["gflops"] = {name: flops / statistics.median(t) for name, t in times.items()}
        record["ratio"] = {peer: list(timing.ratio(times, "ours", peer)) for peer in peers}
        record["share"] = flops / min(times["ours"]) / best
        records.append(record)
    return records


def show(records: list[dict], peers: list[str], threads: int, isa: str) -> None:
    """A line a shape, then the medians over shapes."""
    click.echo(f"\n{isa}, {threads} thread(s); ratio = peer's time / ours, median [quartiles]")
    for r in records:
        size = " x ".join(f"{n:5d}" for n in r["size"])
        line = f"{r['shape']:18s} {size} {r['layout']}  ours {r['gflops']['ours']:6.1f} GFLOP/s"
        for peer in peers:
            line += f"  {peer} {timing.Spread(*r['ratio'][peer])}"
        click.echo(f"{line}  share {r['share']:4.0%}")
    for peer in peers:
        medians = [r["ratio"][peer][0] for r in records]
        click.echo(f"over shapes, {peer}: {timing.spread(medians)}, worst {min(medians):.2f}")
    worst = [min(r["ratio"][peer][0] for peer in peers) for r in records]
    click.echo(f"over shapes, the faster peer: {timing.spread(worst)}, worst {min(worst):.2f}")


@click.command()
@click.option("--shapes", type=click.Choice(["gpt", "small"]), default="gpt", show_default=True)
@click.option("--configs", default="S,M,B,L", show_default=True, help="Whose layers.")
@click.option("--peer", "peers", type=click.Choice(["numpy", "torch"]), multiple=True,
              help="May be given twice; both without it.")
@click.option("--isa", type=click.Choice(["auto", *ISAS]), multiple=True,
              help="auto and avx2 without it.")
@click.option("--threads", type=int, multiple=True, help="May be given twice; 1 and 2 without it.")
@click.option("--rounds", default=11, show_default=True)
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True,
              help="cpu: CPU time, for one thread on a busy machine.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a setting.")
def command(shapes, configs, peers, isa, threads, rounds, clock, as_json):
    """Matrix products on GPT shapes against NumPy's and PyTorch's."""
    peers = list(peers) or ["numpy", "torch"]
    threads = threads or ((1,) if clock == "cpu" else (1, 2))
    if clock == "cpu" and threads != (1,):
        raise click.BadParameter("CPU time is a time for --threads 1 only", param_hint="--clock")
    for one_isa in isa or ("auto", "avx2"):
        for count in threads:
            job = {"shapes": shapes, "configs": configs, "peers": peers, "rounds": rounds}
            forced = None if one_isa == "auto" else one_isa
            environment = timing.thread_environment(count, forced, clock)
            worker = [sys.executable, "-m", "bench.matmul", json.dumps({**job, "threads": count})]
            output = subprocess.run(
                worker, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            if as_json:
                click.echo(output.strip())
            else:
                show(json.loads(output), peers, count, one_isa)


def work(job: dict) -> None:
    """The child process: one instruction set and one number of threads."""
    shapes = gpt_shapes(job["configs"]) if job["shapes"] == "gpt" else small_shapes()
    print(json.dumps(measure(shapes, job["peers"], job["rounds"], job["threads"])))


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
