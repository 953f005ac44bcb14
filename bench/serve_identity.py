"""Whether an answer depends on its company: the same requests, served in many ways, over HTTP.

    python -m bench serve-identity --config B --dtype int8

Each way is a server of its own with the same random weights. The requests are of all kinds: greedy
and sampled, filtered and penalised, with log probabilities, and half of them begin alike. Each is
asked alone of a server with one slot that forgets everything; then many at once, of servers that
read prompts in other pieces, with a cache and without. What is compared is the whole JSON of each
choice: text, end, log probabilities to the last digit.

Read next: serve.py, ../tinygpt/serving/engine.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import click
import numpy as np

from bench import timing
from bench.generate import SHAPES, read_spec
from bench.serve import Room
from kernels import ISAS
from minigrad.nn.quantized import SCHEMES

ALONE = {"slots": 1, "piece": 4096, "beside": 4096, "reuse": False}
KINDS: list[dict[str, Any]] = [
    {"temperature": 0}, {"temperature": 1}, {"temperature": 0.8, "top_p": 0.95},
    {"temperature": 0.7, "top_k": 40, "min_p": 0.02}, {"temperature": 1, "logprobs": 3},
    {"temperature": 0, "logprobs": 1}, {"temperature": 0.9, "repetition_penalty": 1.2},
    {"temperature": 1, "frequency_penalty": 0.5, "presence_penalty": 0.2},
]


def ways(slots: int) -> dict[str, tuple[dict[str, Any], int]]:
    """What is compared with ALONE: the server's settings, and how many ask at once."""
    found = {"alone again, with a cache": ({"slots": 1}, 1)}
    for piece in (1, 7, 16, 4096):
        for reuse in (True, False):
            name = f"among {slots}, {'all' if piece == 4096 else piece} at once, " + (
                "with a cache" if reuse else "without")
            found[name] = ({"slots": slots, "piece": piece, "beside": piece, "reuse": reuse}, slots)
    return found


def requests(count: int, vocabulary: int, context: int) -> list[dict[str, Any]]:
    """Bodies for /v1/completions."""
    rng = np.random.default_rng(0)
    system = rng.integers(0, vocabulary, context // 4).tolist()
    found = []
    for number in range(count):
        own = rng.integers(0, vocabulary, rng.integers(1, context // 4)).tolist()
        prompt = (system if rng.random() < 0.5 else []) + own
        found.append({"prompt": prompt, "max_tokens": int(rng.integers(1, context // 8)),
                      "seed": number, **KINDS[number % len(KINDS)]})
    return found


async def answers(port: int, asked: list[dict[str, Any]], at_once: int) -> list[Any]:
    """The choices of each request, so many under way at any time."""
    places = asyncio.Semaphore(at_once)

    async def one(body: dict[str, Any]) -> Any:
        async with places:
            status, answer = await post(port, "/v1/completions", json.dumps(body).encode())
        if status != 200:
            raise click.ClickException(f"{status}: {answer[:300]!r}")
        return json.loads(answer)["choices"]

    return await asyncio.gather(*map(one, asked))


async def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """(status, body) of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: "
        b"application/json\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
    )
    try:
        found = await reader.read(-1)
    finally:
        writer.close()
    head, _, answer = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), answer


def tokens_that_differ(got: list[Any], right: list[Any]) -> int:
    """Of choices that are not equal, the tokens from the first other one on."""
    count = 0
    for mine, theirs in zip(got, right, strict=True):
        a, b = mine[0]["text"], theirs[0]["text"]
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
                    min(len(a), len(b)))
        count += max(len(a), len(b)) - same or int(mine != theirs)
    return count


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L", *SHAPES]), default="B")
@click.option("--dtype", type=click.Choice(["fp32", *SCHEMES]), default="int8")
@click.option("--requests", "count", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--slots", type=click.IntRange(2), default=8, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--isa", type=click.Choice(ISAS))
def command(config, dtype, count, slots, threads, isa):
    """The same requests served in many ways: how many tokens differ (0)."""
    spec = read_spec(config, dtype, threads)
    asked = requests(count, spec["vocab_size"], spec["context"])
    click.echo(f"{config} {dtype}, {threads} threads, {count} requests\n{timing.headline()}")
    right = serve(spec, isa, ALONE, asked, 1)
    click.echo(f"{'alone, all at once, without a cache':40}{'':10}{right[1]:8.1f} s")
    wrong = 0
    for name, (settings, at_once) in ways(slots).items():
        got, seconds = serve(spec, isa, settings, asked, at_once)
        differ = tokens_that_differ(got, right[0])
        wrong += differ
        click.echo(f"{name:40}{differ:4} differ{seconds:8.1f} s")
    drawn = sum(len(choices[0]["text"]) for choices in right[0])
    click.echo(f"of {drawn:,} tokens in each way")
    if wrong:
        raise click.ClickException(f"{wrong} tokens differ")


def serve(
    spec: dict[str, Any], isa: str | None, settings: dict[str, Any], asked: list[dict[str, Any]],
    at_once: int,
) -> tuple[list[Any], float]:
    """All answers of a server of its own, and the seconds that they took."""
    room = Room(spec, settings.get("slots", 8), isa, settings)
    try:
        start = time.perf_counter()
        found = asyncio.run(answers(room.port, asked, at_once))
        return found, time.perf_counter() - start
    finally:
        room.close()
