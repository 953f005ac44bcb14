"""Our server and llama.cpp's (xllamacpp's), eight at once, on the same file.

    python -m bench serve-peer --config B

A model of GPT-2's kind with random weights is written once as GGUF in Q8_0; each server opens it
in a process of its own. In turn, each answers one request and then `slots` at once, greedily and
whole, over HTTP; prompts are random ids, so that no cache knows them. llama.cpp keeps its defaults
(keys and values of two bytes among them).

Read next: serve.py.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing
from bench.generate import SHAPES, read_spec
from bench.serve_identity import post

PROMPT = 16


def write(path: Path, spec: dict[str, Any]) -> None:
    """The file that both open: a token for every id, each with a text of its own."""
    from tinygpt.config import structure
    from tinygpt.exchange.gguf_models import write_gguf
    from tinygpt.model import ModelShape, build
    from tinygpt.tokenizer import train_bpe

    rng = np.random.default_rng(0)
    words = ("".join(map(chr, rng.integers(97, 123, 6))) for _ in range(40_000))
    tokenizer = train_bpe(" ".join(words), vocab_size=spec["vocab_size"])
    shape = {key: spec[key] for key in ("context", "n_layers", "n_heads", "d_model")}
    model = build(structure(ModelShape, {**shape, "vocab_size": tokenizer.vocab_size,
                                         "family": "gpt2"}, "model."), rng)
    write_gguf(path, model.eval(), tokenizer, "Q8_0")


class Side:
    """A server in a process of its own, which prints its port."""

    def __init__(self, name: str, path: Path, spec: dict[str, Any], slots: int):
        asked = json.dumps([name, str(path), spec["context"], spec["threads"], slots])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.serve_peer", asked], stdout=subprocess.PIPE, text=True,
            env=timing.thread_environment(spec["threads"], None),
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().rpartition(":")[2] or 0)
        if not self.port:
            raise click.ClickException(f"{name} ended; its last words are above")
        self._rng, self._name = np.random.default_rng(0), name

    def seconds(self, at_once: int, tokens: int) -> float:
        """Seconds a token of so many answers under way together."""
        start = time.perf_counter()
        asyncio.run(self._ask(at_once, tokens))
        return (time.perf_counter() - start) / (at_once * tokens)

    async def _ask(self, at_once: int, tokens: int) -> None:
        bodies = [
            {"prompt": self._rng.integers(300, 900, PROMPT).tolist(), "temperature": 0,
             "max_tokens": tokens, **({"ignore_eos": True} if self._name == "llama.cpp" else {})}
            for _ in range(at_once)
        ]
        answers = await asyncio.gather(*(
            post(self.port, "/v1/completions", json.dumps(body).encode()) for body in bodies
        ))
        for status, answer in answers:
            drawn = json.loads(answer)["usage"]["completion_tokens"] if status == 200 else 0
            if drawn != tokens:
                raise click.ClickException(f"{self._name}: {status} {drawn} {answer[:200]!r}")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L", *SHAPES]), default="B")
@click.option("--slots", type=click.IntRange(2), default=8, show_default=True)
@click.option("--tokens", type=click.IntRange(1), default=100, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def command(config, slots, tokens, rounds, threads):
    """Our server and llama.cpp's on the same file, one and eight at once."""
    spec = read_spec(config, "q8_0", threads)
    spec["vocab_size"] = max(spec["vocab_size"], 1024)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.gguf"
        write(path, spec)
        sides = {name: Side(name, path, spec, slots) for name in ("ours", "llama.cpp")}
        times: dict[str, list[float]] = {}
        for turn in range(-1, rounds):
            for name, side in sides.items():
                for at_once in (1, slots):
                    seconds = side.seconds(at_once, tokens if turn >= 0 else 4)
                    if turn >= 0:
                        times.setdefault(f"{name} {at_once}", []).append(seconds)
        for side in sides.values():
            side.close()
    click.echo(f"{config} Q8_0, {threads} threads, {tokens} tokens\n{timing.headline()}")
    for at_once in (1, slots):
        ours, theirs = (1 / timing.spread(times[f"{name} {at_once}"]).median for name in sides)
        ratio = timing.ratio(times, f"ours {at_once}", f"llama.cpp {at_once}")
        click.echo(f"{at_once} at once: ours {ours:.0f} tokens/s, llama.cpp {theirs:.0f}: {ratio}")


def work(name: str, path: str, context: int, threads: int, slots: int) -> None:
    """A server's side: print the address, and serve until told to end."""
    if name == "llama.cpp":
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path, settings.n_parallel = path, slots
        settings.n_ctx = context * slots
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
        settings.warmup = settings.fit_params = False
        settings.verbosity = -1
        server = xllamacpp.Server(settings)
        print(server.listening_address, flush=True)
        while True:
            time.sleep(3600)
    from minigrad import set_num_threads
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.run import run
    from tinygpt.serving.security import Gate
    from tinygpt.serving.served import Served
    from tinygpt.weights.open import open_model

    set_num_threads(threads)
    served = Served("ours", *open_model(path), settings={"slots": slots})
    served.ends = frozenset()  # an answer is as long as it was asked for
    run({"ours": served}, Gate(), Limits(), "127.0.0.1", 0, slots, False,
        lambda port: print(f":{port}", flush=True))


if __name__ == "__main__":
    work(*json.loads(sys.argv[1]))
