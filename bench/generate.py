"""Tokens per second of generation, one text, ours and a peer's in turn.

    python -m bench generate --config GPT2 --dtype int8 --peer ctranslate2 --json
    python -m bench generate --config B --dtype int8 --tree ../parent     another checkout of ours
    python -m bench generate --config B --family all       other shapes of ours, at equal bytes

Each program runs in a process of its own and waits without using a core while the other works. A
round is one turn of each; the figure is the median, the comparison the median of the round-by-round
ratios. Weights are random. `GPT2` is the 124 M shape (12 layers, 768 wide, 50257 tokens), `SmolLM2`
the 135 M of other people's files (30 layers, 576 wide, 49152 tokens, whose table is q8_0):

    TINYGPT_SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf \\
        python -m bench generate --config SmolLM2 --dtype q4_1 --prompt 256 --peer llama.cpp

A step is as fast as its weights are read. Families have more or fewer of them, so that what is
compared is bytes of weights a second: the share of GPT-2's rate that another shape keeps.

Read next: peers/writers.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click

from bench import timing
from kernels import ISAS
from minigrad.nn.quantized import SCHEMES
from tinygpt.machine.memory import peak_bytes
from tinygpt.model.families import FAMILIES

GPT2 = {"vocab_size": 50257, "context": 1024, "n_layers": 12, "n_heads": 12, "d_model": 768}
SMOLLM2 = {
    "vocab_size": 49152, "context": 2048, "n_layers": 30, "n_heads": 9, "d_model": 576,
    "table": "q8_0",
    "settings": {"family": "llama", "n_kv_heads": 3, "d_ff": 1536, "rope_theta": 1e5, "tied": True},
}
SHAPES: dict[str, dict[str, Any]] = {"GPT2": GPT2, "SmolLM2": SMOLLM2}
VOCABULARY = {"S": 65, "M": 65, "L": 65, "B": 4096}
PEERS = {"ours": "Ours", "torch": "Torch", "ctranslate2": "CTranslate2", "llama.cpp": "LlamaCpp"}
TURN_SECONDS = 1.0
KINDS: dict[str, dict[str, Any]] = {
    family: {"family": family} for family, row in FAMILIES.items() if "assembly" not in row
} | {
    "grouped": {"family": "qwen3", "n_kv_heads": 1},
    "relative": {"positions": "relative", "activation": "relu"},
    "post-norm": {"norm_place": "post", "bias": "all"},
    "window": {"positions": "rope", "window": 32},
    "softcap": {"softcap": 30.0, "norm": "rmsnorm", "activation": "relu2"},
}


def read_spec(config: str, dtype: str, threads: int) -> dict[str, Any]:
    """The model's shape as the workers take it."""
    if config in SHAPES:
        return {**SHAPES[config], "dtype": dtype, "threads": threads}
    from tinygpt.config import load_config

    model = load_config(config).model
    shape = {key: getattr(model, key) for key in GPT2} | {"vocab_size": VOCABULARY[config]}
    return {**shape, "dtype": dtype, "threads": threads}


class Worker:
    """A writer in a process of its own, driven by lines of JSON."""

    def __init__(self, peer: str, spec: dict[str, Any], isa: str | None, tree=None):
        self.process = subprocess.Popen(
            [timing.python_of(tree), "-m", "bench.generate", PEERS[peer], json.dumps(spec)],
            cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=timing.thread_environment(spec["threads"], isa),
        )
        self.name = self.ask("describe")

    def ask(self, what: str, count: int | None = None) -> Any:
        """Call a method of the writer."""
        self.process.stdin.write(json.dumps([what, count]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException("a worker ended; its last words are above")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(timeout=30)


def work(kind: str, spec: dict[str, Any]) -> None:
    """The worker's side: answer requests until the pipe closes."""
    from bench.peers import writers

    writer = getattr(writers, kind)(spec)
    for line in sys.stdin:
        what, count = json.loads(line)
        if what == "peak_rss_bytes":
            answer = peak_bytes()
        else:
            answer = getattr(writer, what)(*([] if count is None else [count]))
        print(json.dumps(answer), flush=True)


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L", *SHAPES]), default="B")
@click.option("--dtype", type=click.Choice(["fp32", *SCHEMES]), default="fp32",
              help="Of ours; the peer takes the same, or --peer-dtype.")
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)[1:]))
@click.option("--family", "families", multiple=True, type=click.Choice(["all", *KINDS]),
              help="Ours of another shape.")
@click.option("--tree", type=click.Path(exists=True, file_okay=False),
              help="Another checkout of ours, by the Python in its .venv.")
@click.option("--peer-dtype", type=click.Choice(["fp32", "int8"]))
@click.option("--tokens", type=int, help="Tokens in a turn (default: about a second of them).")
@click.option("--rounds", type=int, default=7, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--isa", type=click.Choice(ISAS), help="Restrict all.")
@click.option("--prompt", type=int, default=200, show_default=True, help="Of the prefill, tokens.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def command(
    config, dtype, peers, families, tree, peer_dtype, tokens, rounds, threads, isa, prompt, as_json
):
    """Tokens per second of generation, one text."""
    spec = read_spec(config, dtype, threads)
    workers = {"ours": Worker("ours", spec, isa)}
    families = tuple(KINDS) if "all" in families else families
    for family in families:
        workers[family] = Worker("ours", {**spec, "settings": KINDS[family]}, isa)
    for peer in peers:
        workers[peer] = Worker(peer, {**spec, "dtype": peer_dtype or dtype}, isa)
    if tree:
        workers["tree"] = Worker("ours", spec, isa, tree)
    room = spec["context"] - 18
    counts = {}
    for name, worker in workers.items():
        seconds = worker.ask("decode", 4)  # warm-up
        counts[name] = tokens or max(4, min(room, round(TURN_SECONDS / seconds)))
    prompt = min(prompt, room)
    decode: dict[str, list[float]] = {name: [] for name in workers}
    prefill: dict[str, list[float]] = {name: [] for name in workers}
    one_by_one = []
    for _ in range(rounds):
        for name, worker in workers.items():
            decode[name].append(worker.ask("decode", min(counts[name], room)))
            prefill[name].append(worker.ask("prefill", prompt))
        if len(one_by_one) < 3:
            one_by_one.append(workers["ours"].ask("one_by_one", prompt))
    result = {
        "config": config, "dtype": dtype, "threads": threads, "isa": isa, "prompt": prompt,
        "one_by_one_ms": 1e3 * timing.spread(one_by_one).median,
        "prefill_speedup": timing.spread(one_by_one).median
        / timing.spread(prefill["ours"]).median,
        "machine": timing.headline(),
    }
    for name, worker in workers.items():
        result[name] = {
            "name": worker.name,
            "tokens_per_second": 1 / timing.spread(decode[name]).median,
            "prefill_ms": 1e3 * timing.spread(prefill[name]).median,
            "peak_rss_bytes": worker.ask("peak_rss_bytes"),
            "ratio": timing.ratio(decode, "ours", name).median,
            "prefill_ratio": timing.ratio(prefill, "ours", name).median,
        }
        if name == "ours" or name in families:
            result[name]["weight_bytes"] = worker.ask("weight_bytes")
    for name in families:
        share = result[name]["weight_bytes"] / result["ours"]["weight_bytes"]
        result[name] |= {"name": name, "at_equal_bytes": share / result[name]["ratio"]}
    for worker in workers.values():
        worker.close()
    print(json.dumps(result)) if as_json else show(result, list(workers))


def show(result: dict[str, Any], names: list[str]) -> None:
    """The table for a reader."""
    click.echo(f"{result['config']} {result['dtype']}, {result['threads']} threads")
    click.echo(result["machine"])
    click.echo(f"{'':28}{'tokens/s':>10}{'prefill ms':>12}{'peak MB':>9}{'ours is':>9}")
    for name in names:
        row = result[name]
        click.echo(
            f"{row['name'][:27]:28}{row['tokens_per_second']:10.0f}{row['prefill_ms']:12.1f}"
            f"{row['peak_rss_bytes'] / 1e6:9.0f}{row['ratio']:8.2f}x"
            + (f"   {row['at_equal_bytes']:.2f} of ours a byte" if "at_equal_bytes" in row else "")
        )
    click.echo(
        f"a prompt of {result['prompt']} tokens at once is {result['prefill_speedup']:.1f} times "
        "faster than token by token"
    )


if __name__ == "__main__":
    work(sys.argv[1], json.loads(sys.argv[2]))
