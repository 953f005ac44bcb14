"""Everything at once for a while, and what has grown: a server's day in minutes.

    python -m bench serve-load --minutes 60

Sixteen clients ask without a pause: chats and completions, streamed and not, embeddings, scores of
prompts, wrong requests, and some who leave in the middle. Each minute one line: requests, tokens,
memory that the process alone has, open files, threads. The first minute warms up.

Read next: serve_abuse.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from typing import Any

import click

from bench import timing
from bench.generate import read_spec
from bench.serve import Room
from bench.serve_abuse import HEAD, generated, get, memory
from bench.serve_identity import post

CLIENTS = 16


def asked(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """(path, body) of one of many kinds of request."""
    ids = [rng.randrange(60) for _ in range(rng.randrange(1, 100))]
    text = "".join(chr(0x100 + one % 60) for one in ids)
    chat = [{"role": "user", "content": text}]
    return rng.choice([
        ("/v1/completions", {"prompt": ids, "max_tokens": 20, "stream": rng.random() < 0.5}),
        ("/v1/completions", {"prompt": [ids, ids], "max_tokens": 5, "n": 2, "logprobs": 2}),
        ("/v1/completions", {"prompt": ids, "max_tokens": 1, "logprobs": 1, "echo": True}),
        ("/v1/chat/completions", {"messages": chat, "max_tokens": 20, "stream": True}),
        ("/v1/chat/completions", {"messages": chat, "max_tokens": 9, "temperature": 0.8,
                                  "top_p": 0.9, "stop": ["\u0105"]}),
        ("/v1/embeddings", {"input": text}),
        ("/tokenize", {"prompt": text}),
    ])


async def client(port: int, number: int, until: float, seen: dict[str, int]) -> None:
    """Ask until it is time."""
    rng = random.Random(number)
    while time.perf_counter() < until:
        if rng.random() < 0.1:
            path, body = generated(rng)
        else:
            path, given = asked(rng)
            body = json.dumps(given).encode()
        if rng.random() < 0.1:  # one who leaves
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD % len(body) + body)
            await asyncio.sleep(rng.random() * 0.02)
            writer.transport.abort()
            status = "left"
        else:
            status = str((await post(port, path, body))[0])
        seen[status] = seen.get(status, 0) + 1


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L"]), default="S", show_default=True)
@click.option("--minutes", type=click.IntRange(2), default=60, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def command(config, minutes, threads):
    """Mixed load for minutes, and what has grown."""
    room = Room({**read_spec(config, "int8", threads), "limits": {"per_address": 2000}}, 8, None)
    click.echo(f"{timing.headline()}\n{'minute':>6}{'requests':>10}{'tokens':>10}{'MB':>8}"
               f"{'files':>7}{'threads':>9}  statuses")
    first = 0.0
    try:
        for minute in range(1, minutes + 1):
            seen: dict[str, int] = {}
            asyncio.run(_minute(room.port, minute, seen))
            text = asyncio.run(get(room.port, "/metrics"))[1].decode()
            tokens = re.search(r"^tinygpt_generated_tokens_total (\d+)", text, re.M)
            held = memory(room.pid)
            first = first or held
            assert tokens is not None
            click.echo(
                f"{minute:6}{sum(seen.values()):10,}{int(tokens[1]):10,}{held:8.1f}"
                f"{len(os.listdir(f'/proc/{room.pid}/fd')):7}"
                f"{len(os.listdir(f'/proc/{room.pid}/task')):9}  {json.dumps(seen)}"
            )
            if "500" in seen:
                raise click.ClickException("an answer was 500; the server's words are above")
    finally:
        room.close()
    click.echo(f"after the first minute it grew by {held - first:.1f} MB")


async def _minute(port: int, minute: int, seen: dict[str, int]) -> None:
    until = time.perf_counter() + 60
    await asyncio.gather(*(client(port, 1000 * minute + i, until, seen) for i in range(CLIENTS)))
