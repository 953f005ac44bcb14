"""What a server's other clients notice of slow, broken and rude ones. On loopback only.

    python -m bench serve-abuse

- *slow*: so many connections that send a byte a second. Meanwhile /health is asked again and again:
  its 99th percentile; and each connection must be closed soon after its deadline.
- *generated*: requests of random bytes, broken JSON, bombs of brackets, lone surrogates, 1e400 and
  nearly right parameters. No answer may be 500, none may be missing; memory before and after.
- *gone*: clients that leave while they wait, are being read, or are written to; how long until the
  server's own gauges have nobody under way.

Read next: serve_load.py, ../tinygpt/serving/protocol.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from typing import Any

import click
import numpy as np

from bench import timing
from bench.generate import read_spec
from bench.serve import Room
from bench.serve_identity import post

HEAD = (b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n")
PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/tokenize", "/detokenize")
NAMES = ("prompt", "messages", "input", "tokens", "max_tokens", "n", "stop", "seed", "temperature",
         "top_p", "top_k", "min_p", "logprobs", "top_logprobs", "echo", "stream", "logit_bias",
         "response_format", "model", "stream_options", "frequency_penalty", "nonsense")
CHAT = [{"role": "user", "content": "\u0100"}]
DEADLINE = 5.0  # seconds; of a request's head and body, here
PATIENCE = 60.0  # seconds after which an answer counts as missing


async def get(port: int, path: str) -> tuple[int, bytes]:
    """(status, body) of a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path.encode())
    found = await reader.read(-1)
    writer.close()
    return int(found.split()[1]), found.partition(b"\r\n\r\n")[2]


async def slow(port: int, count: int, seconds: float) -> dict[str, Any]:
    """So many that send a byte a second, and how /health answers meanwhile."""
    closed: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        start, body = time.perf_counter(), HEAD % 1000 + b" " * 1000
        ended = asyncio.ensure_future(reader.read(-1))
        with contextlib.suppress(ConnectionError):
            for byte in body:
                writer.write(bytes([byte]))
                if (await asyncio.wait([ended], timeout=1.0))[0]:
                    break
        with contextlib.suppress(ConnectionError):
            await ended
        closed.append(time.perf_counter() - start)
        writer.close()

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    waits, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        status, _ = await get(port, "/health")
        assert status == 200
        waits.append(time.perf_counter() - start)
        await asyncio.sleep(0.02)
    await asyncio.wait(tasks, timeout=PATIENCE)
    open_still = sum(not task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    return {"health_ms": 1e3 * np.percentile(waits, [50, 99, 100]), "asked": len(waits),
            "closed_after": (min(closed), max(closed)), "open_still": open_still}


def generated(rng: random.Random) -> tuple[str, bytes]:
    """(path, body) of a request that is wrong, or nearly right."""
    path = rng.choice(PATHS)
    kind = rng.randrange(6)
    if kind == 0:
        return path, rng.randbytes(rng.randrange(300))
    if kind == 1:
        depth = rng.choice([10, 1000, 100_000])
        return path, rng.choice([b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth])
    if kind == 2:
        text = json.dumps({rng.choice(NAMES): value(rng) for _ in range(3)})
        at = rng.randrange(len(text) + 1)
        return path, text[:at].encode()
    asked = {rng.choice(NAMES): value(rng) for _ in range(rng.randrange(5))}
    if kind > 3:  # right, or but for one parameter
        right = {"/v1/completions": {"prompt": "\u0100", "max_tokens": 3},
                 "/v1/chat/completions": {"messages": CHAT, "max_tokens": 3},
                 "/v1/embeddings": {"input": "\u0100"}, "/tokenize": {"prompt": "\u0100"},
                 "/detokenize": {"tokens": [1, 2]}}
        asked = {**right[path], **dict(list(asked.items())[:1])}
    text = json.dumps(asked, ensure_ascii=False).replace("Infinity", "1e400")
    return path, text.encode("utf-8", "surrogatepass")


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON, and some that is none."""
    simple = [None, True, False, 0, -1, 1, 2**63, 10**400, 1.5, float("inf"), float("nan"), "",
              "a", "\ud800", "\x00", "\u0100" * rng.randrange(50), [1, 2, 3], ["a", "b"],
              [{"role": "user", "content": "\u0100"}], {"type": "json_object"},
              {"type": "regex", "pattern": "".join(rng.choices("ab()[]{}|*+?1,", k=8))},
              {"include_usage": True}, {"5": 100}, {str(10**30): 1}]
    if depth < 3 and rng.random() < 0.2:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 3 and rng.random() < 0.2:
        return {rng.choice(NAMES): value(rng, depth + 1) for _ in range(rng.randrange(3))}
    return rng.choice(simple)


async def fuzz(port: int, count: int, at_once: int = 16) -> Counter[Any]:
    """The statuses of so many generated requests; "none" is an answer that did not come."""
    rng, seen = random.Random(0), Counter[Any]()
    places = asyncio.Semaphore(at_once)

    async def one(path: str, body: bytes) -> None:
        async with places:
            try:
                status, _ = await asyncio.wait_for(post(port, path, body), PATIENCE)
            except (asyncio.TimeoutError, ConnectionError, IndexError):
                status = "none"
        seen[status] += 1
        if status in (500, "none"):
            click.echo(f"  {status}: {path} {body[:200]!r}", err=True)

    for _ in range(count // 1000):
        await asyncio.gather(*(one(*generated(rng)) for _ in range(1000)))
    return seen


async def gone(port: int, count: int) -> tuple[float, float]:
    """Median and longest seconds from a client's leaving to nobody being under way."""
    waits = []
    for number in range(count):
        rng = np.random.default_rng(number)
        streamed = number % 2 == 0
        body = json.dumps({"prompt": rng.integers(0, 60, 100).tolist(), "max_tokens": 100,
                           "stream": streamed, "n": 12}).encode()  # of which four wait
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % len(body) + body)
        await asyncio.sleep(0.01 * (number % 5))
        writer.transport.abort()
        start = time.perf_counter()
        while b"_running 0\n" not in (text := (await get(port, "/metrics"))[1]) or (
            b"_waiting 0\n" not in text
        ):
            await asyncio.sleep(0.001)
        waits.append(time.perf_counter() - start)
    return float(np.median(waits)), max(waits)


def memory(pid: int) -> float:
    """MB that a process alone has, swapped out or not."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "VmSwap")) / 1e3


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L"]), default="S", show_default=True)
@click.option("--slow", "slow_count", type=int, default=500, show_default=True)
@click.option("--seconds", type=float, default=30.0, show_default=True, help="Of slow ones.")
@click.option("--generated", "count", type=int, default=10_000, show_default=True)
@click.option("--gone", "gone_count", type=int, default=200, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def command(config, slow_count, seconds, count, gone_count, threads):
    """Slow, broken and rude clients by the thousand, and what the others notice."""
    limits = {"head_seconds": DEADLINE, "body_seconds": DEADLINE, "per_address": 2000}
    room = Room({**read_spec(config, "int8", threads), "limits": limits}, 8, None)
    click.echo(timing.headline())
    try:
        found = asyncio.run(slow(room.port, slow_count, seconds))
        half, most, worst = found["health_ms"]
        click.echo(
            f"{slow_count} slow connections: /health {half:.1f} ms, 99th percentile {most:.1f}, "
            f"worst {worst:.1f} ({found['asked']} times)\n  closed after "
            f"{found['closed_after'][0]:.1f} to {found['closed_after'][1]:.1f} s, the deadline "
            f"being {DEADLINE:.0f}; still open {found['open_still']}"
        )
        asyncio.run(fuzz(room.port, 2000))  # what is made once is made by then
        before = memory(room.pid)
        seen = asyncio.run(fuzz(room.port, count))
        grown = memory(room.pid) - before
        table = ", ".join(f"{status}: {n:,}" for status, n in sorted(seen.items(), key=str))
        click.echo(f"{count:,} generated requests: {table}; memory grew by {grown:.1f} MB")
        half, worst = asyncio.run(gone(room.port, gone_count))
        click.echo(f"{gone_count} clients gone: places free after {1e3 * half:.1f} ms, at worst "
                   f"{1e3 * worst:.1f}")
    finally:
        room.close()
    if seen[500] or seen["none"] or found["open_still"]:
        raise click.ClickException("an answer was 500 or missing, or a connection stayed open")
