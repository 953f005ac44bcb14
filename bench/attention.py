"""`python -m bench attention`: how fast attention is, forward and backward, and beside PyTorch.

Causal, float32, heads read from a packed (B, T, 3, H, D) projection by everybody. Flops are counted
where the mask leaves something: 2 D forward and 5 D backward multiply-adds for each visible pair of
query and key. Each round times a 1024 x 1024 matrix product, ours and the peer in turn.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable

import click
import numpy as np

import kernels
from bench import timing

TOKENS = 4096  # B T in every case: B = 16 texts of T = 256, one of T = 4096
HEADS = 6
PRODUCTS = {"forward": 2, "backward": 5}  # of T x T x D; backward computes the scores again

Call = Callable[[], object]


def visible_pairs(T: int) -> int:
    """Pairs of a query and a key that it sees."""
    return T * (T + 1) // 2


def flops(pass_name: str, B: int, T: int, H: int, D: int) -> float:
    """Multiplications and additions that the causal mask leaves."""
    return 2.0 * PRODUCTS[pass_name] * B * H * D * visible_pairs(T)


def ours(packed: np.ndarray, dy: np.ndarray) -> dict[str, Call]:
    """The active kernels; gradients go to a packed array too."""
    q, k, v = (packed[:, :, n] for n in range(3))
    dpacked = np.empty_like(packed)
    out = tuple(dpacked[:, :, n] for n in range(3))
    y, lse = kernels.active.attention_forward(q, k, v)
    return {
        "forward": lambda: kernels.active.attention_forward(q, k, v),
        "backward": lambda: kernels.active.attention_backward(dy, q, k, v, y, lse, out=out),
    }


def torchs(packed: np.ndarray, dy: np.ndarray) -> dict[str, Call]:
    """scaled_dot_product_attention on views of the same packed array."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    torch.set_num_threads(kernels.get_num_threads())
    heads = [torch.from_numpy(packed[:, :, n]).transpose(1, 2) for n in range(3)]  # (B, H, T, D)
    leaves = [head.detach().requires_grad_() for head in heads]
    y = scaled_dot_product_attention(*leaves, is_causal=True)
    gradient = torch.from_numpy(dy).transpose(1, 2)

    def forward():
        with torch.no_grad():
            return scaled_dot_product_attention(*heads, is_causal=True)

    return {
        "forward": forward,
        "backward": lambda: torch.autograd.grad(y, leaves, gradient, retain_graph=True),
    }


def products(peer: str | None, n: int = 1024) -> dict[str, Call]:
    """The matrix products whose rate is the roofline: NumPy's and, if it is there, PyTorch's."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, n, n), dtype=np.float32)
    found: dict[str, Call] = {"sgemm_numpy": lambda: np.matmul(a, b)}
    if peer == "torch":
        import torch

        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        found["sgemm_torch"] = lambda: torch.mm(ta, tb)
    return found


def measure(T: int, D: int, peer: str | None, rounds: int) -> list[dict]:
    """One record for each pass: gigaflops, their share of sgemm, and the ratio to the peer."""
    B = max(1, TOKENS // T)
    rng = np.random.default_rng(0)
    packed = rng.standard_normal((B, T, 3, HEADS, D), dtype=np.float32)
    dy = rng.standard_normal((B, T, HEADS, D), dtype=np.float32)
    calls = {("ours", name): call for name, call in ours(packed, dy).items()}
    if peer == "torch":
        calls |= {("torch", name): call for name, call in torchs(packed, dy).items()}
    gemms = products(peer)
    threads = kernels.get_num_threads()
    times = timing.interleave({**gemms, **calls}, rounds, threads=threads)
    # The faster product of each round, so that a share is not made larger by a slow BLAS.
    rates = [2 * 1024**3 / min(times[g][r] for g in gemms) for r in range(rounds)]
    records = []
    for name in PRODUCTS:
        work, seconds = flops(name, B, T, HEADS, D), times["ours", name]
        record = {
            "pass": name, "B": B, "T": T, "H": HEADS, "D": D,
            "gigaflops": work / statistics.median(seconds) / 1e9,
            "sgemm_gigaflops": statistics.median(rates) / 1e9,
            "share": timing.spread([work / s / r for s, r in zip(seconds, rates, strict=True)]),
        }
        if peer:
            record["peer_gigaflops"] = work / statistics.median(times[peer, name]) / 1e9
            pairs = zip(seconds, times[peer, name], strict=True)
            record["ratio"] = timing.spread([theirs / mine for mine, theirs in pairs])
        records.append(record)
    return records


def decode(T: int, D: int, peer: str | None, rounds: int) -> dict:
    """One new query a head against T keys: gigabytes per second of keys and values."""
    rng = np.random.default_rng(0)
    q = rng.standard_normal((1, 1, HEADS, D), dtype=np.float32)
    k, v = rng.standard_normal((2, 1, T, HEADS, D), dtype=np.float32)
    calls: dict[str, Call] = {"ours": lambda: kernels.active.attention_forward(q, k, v)}
    if peer == "torch":
        import torch

        heads = [torch.from_numpy(x).transpose(1, 2) for x in (q, k, v)]
        attend = torch.nn.functional.scaled_dot_product_attention
        calls["torch"] = torch.no_grad()(lambda: attend(*heads))
    times = timing.interleave(calls, rounds, 0.003, kernels.get_num_threads())
    record = {
        "pass": "decode", "B": 1, "T": T, "H": HEADS, "D": D,
        "microseconds": statistics.median(times["ours"]) * 1e6,
        "gigabytes_per_second": (k.nbytes + v.nbytes) / statistics.median(times["ours"]) / 1e9,
    }
    if peer:
        record["ratio"] = timing.ratio(times, "ours", peer)
    return record


def show(record: dict) -> str:
    """A record as one line of the table."""
    shape = f"T {record['T']:5d}  D {record['D']:3d}  {record['pass']:8s}"
    if record["pass"] == "decode":
        line = f"{record['microseconds']:7.1f} us  {record['gigabytes_per_second']:5.1f} GB/s"
    else:
        line = f"{record['gigaflops']:6.0f} GFLOP/s  {record['share']:.2f} of sgemm's"
        line += f" {record['sgemm_gigaflops']:.0f}"
    if "ratio" in record:
        line += f"   {record['ratio']:.2f} x PyTorch"
        if "peer_gigaflops" in record:
            line += f" at {record['peer_gigaflops']:.0f}"
    return f"{shape}  {line}"


@click.command("attention")
@click.option("--lengths", default="256,1024,4096", show_default=True, help="T, comma-separated.")
@click.option("--head-sizes", default="32,64", show_default=True, help="D, comma-separated.")
@click.option("--backend", default="auto", show_default=True, help="numpy, numba, c or auto.")
@click.option("--isa", type=click.Choice(kernels.ISAS), help="Restricts PyTorch and NumPy too.")
@click.option("--peer", type=click.Choice(["torch"]), help="Also time PyTorch's.")
@click.option("--threads", type=int, help="Threads of everybody; default: physical cores.")
@click.option("--rounds", default=20, show_default=True, help="Rounds; figures are medians.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="cpu: by CPU time, for a machine that others keep busy; with --threads 1 only.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON record a line.")
@click.option("--child", is_flag=True, hidden=True)
def attention(
    lengths, head_sizes, backend, isa, peer, threads, rounds, clock, as_json, child
) -> None:
    """GFLOP/s of attention, the share of a matrix product's, and the ratio to PyTorch."""
    if clock == "cpu" and threads != 1:
        raise click.BadParameter("CPU time needs --threads 1", param_hint="--clock")
    if not child:  # libraries read their instruction set once, when they are loaded
        environment = timing.thread_environment(threads or kernels.get_num_threads(), isa, clock)
        again = [sys.executable, "-m", "bench.attention", *sys.argv[2:], "--child"]
        sys.exit(subprocess.run(again, env=environment, check=False).returncode)
    kernels.use(backend, isa)
    if not as_json:
        click.echo(timing.headline())
        click.echo(f"{kernels.get_num_threads()} threads, {kernels.report()['isa'] or backend}")
    for T in map(int, lengths.split(",")):
        for D in map(int, head_sizes.split(",")):
            for record in (*measure(T, D, peer, rounds), decode(T, D, peer, rounds)):
                click.echo(json.dumps(record) if as_json else show(record))


command = attention

if __name__ == "__main__":
    command()
