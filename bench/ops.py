"""`python -m bench ops`: how much of the memory bandwidth the elementwise and norm kernels use.

A kernel that does little arithmetic should take as long as its arrays take to travel. For each
kernel this counts the bytes it must move (every input read once, every output written once), times
it beside a plain copy, and prints GB/s and the share of the copy's GB/s. All rivals take turns
within a round, so that a slow minute of a shared machine hits them alike; figures are medians over
the rounds, shares are medians of the rounds' ratios. On a busy machine: `--threads 1` under
BENCH_CLOCK=cpu (timing.py).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import click
import numpy as np

import kernels
from bench import timing
from kernels import memory

ADAMW = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}

Call = Callable[[], object]
_pool = ThreadPoolExecutor()


def arrays(rows: int, width: int) -> dict[str, np.ndarray]:
    """Everything the kernels below take: (rows, width) float32 and the small things beside it."""
    rng = np.random.default_rng(0)
    large = ("x", "dy", "residual", "param", "m", "v")
    made = {name: rng.standard_normal((rows, width), dtype=np.float32) for name in large}
    made["v"] **= 2
    size, blocks = rows * width, -(-rows * width // 256)
    made["m_codes"], made["v_codes"] = np.zeros(size, np.int8), np.zeros(size, np.uint8)
    made["m_scale"], made["v_scale"] = np.zeros((2, blocks), np.float32)
    made["weight"], made["bias"] = rng.standard_normal((2, width), dtype=np.float32)
    made["mean"], made["rstd"] = made["x"].mean(-1), 1 / made["x"].std(-1)
    made["ids"] = rng.integers(0, 4096, rows)
    made["table"] = rng.standard_normal((4096, width), dtype=np.float32)
    made["targets"] = rng.integers(0, width, rows)
    made["lse"] = np.log(np.exp(made["x"]).sum(-1))
    return made


def cases(a: dict[str, np.ndarray]) -> dict[str, tuple[float, Call]]:
    """Kernel -> (arrays of the size of x that it must move, a call of it)."""
    k = kernels.active
    x, dy, residual, weight, bias = a["x"], a["dy"], a["residual"], a["weight"], a["bias"]
    mean, rstd, ids, targets = a["mean"], a["rstd"], a["ids"], a["targets"]
    adamw = ([a["param"]], [dy], [a["m"]], [a["v"]])
    adamw8bit = (a["param"], dy, a["m_codes"], a["m_scale"], a["v_codes"], a["v_scale"])
    return {
        "gelu_forward": (2, lambda: k.gelu_forward(x)),
        "gelu_backward": (3, lambda: k.gelu_backward(dy, x)),
        "layernorm_forward": (2, lambda: k.layernorm_forward(x, weight, bias)),
        "layernorm_forward + residual": (
            4, lambda: k.layernorm_forward(x, weight, bias, residual)
        ),
        "layernorm_backward": (3, lambda: k.layernorm_backward(dy, x, weight, mean, rstd)),
        "layernorm_backward + ds": (
            4, lambda: k.layernorm_backward(dy, x, weight, mean, rstd, residual)
        ),
        "rmsnorm_forward": (2, lambda: k.rmsnorm_forward(x, weight)),
        "rmsnorm_backward": (3, lambda: k.rmsnorm_backward(dy, x, weight, rstd)),
        "softmax_forward": (2, lambda: k.softmax_forward(x)),
        "softmax_backward": (3, lambda: k.softmax_backward(dy, x)),
        "cross_entropy_forward": (1, lambda: k.cross_entropy_forward(x, targets)),
        "cross_entropy_backward": (
            2, lambda: k.cross_entropy_backward(1.0, x, targets, a["lse"])
        ),
        "dropout_forward": (2, lambda: k.dropout_forward(x, 0.1, 12345)),
        "embedding_forward": (2, lambda: k.embedding_forward(a["table"], ids)),
        "embedding_backward": (1 + 4096 / len(x), lambda: k.embedding_backward(dy, ids, 4096)),
        "adamw_update": (7, lambda: k.adamw_update(*adamw, **ADAMW, step=10)),
        "adamw8bit_update": (4, lambda: k.adamw8bit_update(*adamw8bit, **ADAMW, step=10)),
        "sum_of_squares": (1, lambda: k.sum_of_squares([x])),
    }


def torch_cases(a: dict[str, np.ndarray]) -> dict[str, Call]:
    """PyTorch's own kernels on the same numbers."""
    import torch
    from torch.nn import functional as f

    torch.set_num_threads(kernels.get_num_threads())
    t = {name: torch.from_numpy(array.copy()) for name, array in a.items()}
    x, dy, weight, bias, width = t["x"], t["dy"], t["weight"], t["bias"], t["x"].shape[1]
    aten = torch.ops.aten
    mean, rstd = t["mean"][:, None], t["rstd"][:, None]
    step = [torch.tensor(10.0)]
    adamw = ([t["param"]], [dy], [t["m"]], [t["v"]], [], step)
    options = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}
    norm_mask, y = [True, True, True], torch.softmax(x, -1)
    return {
        "gelu_forward": lambda: f.gelu(x, approximate="tanh"),
        "gelu_backward": lambda: aten.gelu_backward(dy, x, approximate="tanh"),
        "layernorm_forward": lambda: f.layer_norm(x, (width,), weight, bias),
        "layernorm_forward + residual": lambda: f.layer_norm(
            x + t["residual"], (width,), weight, bias
        ),
        "layernorm_backward": lambda: aten.native_layer_norm_backward(
            dy, x, [width], mean, rstd, weight, bias, norm_mask
        ),
        "layernorm_backward + ds": lambda: aten.native_layer_norm_backward(
            dy, x, [width], mean, rstd, weight, bias, norm_mask
        )[0].add_(t["residual"]),
        "rmsnorm_forward": lambda: f.rms_norm(x, (width,), weight),
        "softmax_forward": lambda: torch.softmax(x, -1),
        "softmax_backward": lambda: aten._softmax_backward_data(dy, y, -1, torch.float32),
        "cross_entropy_forward": lambda: f.cross_entropy(x, t["targets"]),
        "dropout_forward": lambda: f.dropout(x, 0.1),
        "embedding_forward": lambda: f.embedding(t["ids"], t["table"]),
        "embedding_backward": lambda: aten.embedding_dense_backward(dy, t["ids"], 4096, -1, False),
        "adamw_update": lambda: torch._fused_adamw_(
            *adamw, amsgrad=False, maximize=False, **options
        ),
        "sum_of_squares": lambda: torch.linalg.vector_norm(x),
    }


def seconds(call: Call, repeats: int) -> float:
    """Fewest seconds of `repeats` calls."""
    best = float("inf")
    for _ in range(repeats):
        start = timing.clock()
        call()
        best = min(best, timing.clock() - start)
    return best


def parallel_copy(to: np.ndarray, source: np.ndarray) -> None:
    """Copy with as many threads as the kernels use: memcpy on each part, which needs no GIL."""
    parts = kernels.get_num_threads()
    list(_pool.map(np.copyto, np.array_split(to, parts), np.array_split(source, parts)))


def contestants(a: dict[str, np.ndarray], isas: list[str], peer: str | None) -> dict:
    """Name -> (activate, kernel -> call)."""
    found: dict = {}
    for isa in isas:
        backend, chosen = ("numba", None) if isa == "numba" else ("auto", isa)
        found[isa] = (lambda b=backend, i=chosen: kernels.use(b, i), None)
    if peer == "torch":
        calls = torch_cases(a)
        found["torch"] = (lambda: None, calls)
    return found


def measure(rows: int, width: int, isas: list[str], peer: str | None, rounds: int) -> list[dict]:
    """One record for each kernel and contestant: gigabytes_per_second, share, copy's rate."""
    a = arrays(rows, width)
    target, nbytes = memory.empty(a["x"].shape), a["x"].nbytes
    rates: dict = {}
    rivals = contestants(a, isas, peer)
    for turn in range(rounds + 1):  # the first warms up
        for name, (activate, calls) in rivals.items():
            activate()
            ours = cases(a)
            for kernel, (moved, call) in ours.items():
                if calls is not None and kernel not in calls:
                    continue
                copy = 2 * nbytes / seconds(lambda: parallel_copy(target, a["x"]), 2)
                rate = moved * nbytes / seconds(call if calls is None else calls[kernel], 2)
                if turn:
                    rates.setdefault((kernel, name), []).append((rate, rate / copy))
    kernels.use()
    return [
        {
            "kernel": kernel,
            "by": name,
            "gigabytes_per_second": statistics.median(r for r, _ in pairs) / 1e9,
            "share_of_copy": statistics.median(s for _, s in pairs),
            "worst_share": min(s for _, s in pairs),
        }
        for (kernel, name), pairs in rates.items()
    ]


@click.command("ops")
@click.option("--rows", default=16384, show_default=True, help="Rows of the arrays.")
@click.option("--width", default=256, show_default=True, help="Columns of the arrays.")
@click.option(
    "--isa", "isas", multiple=True, type=click.Choice([*kernels.ISAS, "numba"]), help="Repeatable."
)
@click.option("--peer", type=click.Choice(["torch"]), help="Also time PyTorch's kernels.")
@click.option("--threads", type=int, help="Threads; default: physical cores.")
@click.option("--rounds", default=7, show_default=True, help="Rounds; figures are medians.")
@click.option("--json", "as_json", is_flag=True, help="One JSON record a line.")
def ops(
    rows: int, width: int, isas: tuple[str, ...], peer: str | None, threads: int | None,
    rounds: int, as_json: bool,
) -> None:
    """GB/s of every kernel that memory bounds, beside a copy of the same minute."""
    if threads:
        kernels.set_num_threads(threads)
    if not isas:
        available = kernels.load("c").available_isas()
        isas = tuple(isa for isa, state in available.items() if state == "ready")
    records = measure(rows, width, list(isas), peer, rounds)
    if as_json:
        for record in records:
            click.echo(json.dumps(record))
        return
    names = [*isas, *(["torch"] if peer else [])]
    click.echo(f"{rows} x {width} float32 ({rows * width * 4 / 1e6:.0f} MB an array), GB/s and")
    click.echo(f"share of the bandwidth of a copy, both with {kernels.get_num_threads()} threads")
    click.echo("".ljust(30) + "".join(name.rjust(18) for name in names))
    table = {(r["kernel"], r["by"]): r for r in records}
    for kernel in dict.fromkeys(r["kernel"] for r in records):
        cells = [table.get((kernel, name)) for name in names]
        texts = [
            f"{c['gigabytes_per_second']:.1f}  {c['share_of_copy']:.2f}" if c else "-"
            for c in cells
        ]
        click.echo(kernel.ljust(30) + "".join(text.rjust(18) for text in texts))


command = ops
