"""A server as its clients see it: one stream, eight, the first token, and who waits for whom.

    python -m bench serve --config B --dtype int8

Three processes: a server with random weights, the decode loop of `bench generate` in another, and
this one, which asks over HTTP and looks at the clock when bytes arrive. So the clients take their
share of the cores too; in a room they have their own. A round is one turn of each:

- the decode loop, and one stream of as many tokens: what HTTP, text and sampling cost;
- eight streams at once, in tokens a second of all together, against the one of the same round;
- the first token of a prompt of 128 tokens, from connecting on: alone, and beside seven who write;
- the longest time that any of those seven hears nothing while a prompt of the whole context is
  read, against the median. (A server gathers tokens for 25 ms, so that no gap is much shorter.)

Prompts are random ids, so that no cache knows them. A token's text is one character, so that what
arrives can be counted.

Read next: generate.py, ../tinygpt/serving/worker.py.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np

from bench import timing
from bench.generate import SHAPES, Worker, read_spec
from kernels import ISAS
from minigrad.nn.quantized import SCHEMES

PROMPT, QUESTION = 16, 128  # tokens: before a stream, and of the prompt whose first token is timed
ASKED_A_ROUND = 8  # such prompts


@dataclass
class Heard:
    """An answer's pieces: when each arrived, and how many tokens it had."""

    asked_at: float
    times: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def first(self) -> float:
        """Seconds from the question to the first token."""
        return self.times[0] - self.asked_at

    @property
    def token_seconds(self) -> float:
        """Seconds a token, after the first piece."""
        return (self.times[-1] - self.times[0]) / sum(self.tokens[1:])

    def gaps(self, since: float, until: float) -> list[float]:
        """Seconds between pieces, where any of it lies between two times."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return [b - a for a, b in pairs if b > since and a < until]


class Room:
    """A server in a process of its own, and the questions to it.

    spec: of the model; its "limits" are the server's.  engine: settings.
    """

    def __init__(
        self, spec: dict[str, Any], slots: int, isa: str | None,
        engine: dict[str, Any] | None = None,
    ):
        asked = {**spec, "engine": {"slots": slots, **(engine or {})}}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.serve", json.dumps(asked)],
            stdout=subprocess.PIPE, text=True,
            env=timing.thread_environment(spec["threads"], isa),
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        if not self.port:
            raise click.ClickException("the server ended; its last words are above")
        self._rng, self._vocabulary = np.random.default_rng(0), spec["vocab_size"]

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, length: int, tokens: int) -> Heard:
        """The answer of `tokens` tokens to a random prompt of `length`."""
        prompt = self._rng.integers(0, self._vocabulary, length).tolist()
        asked = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True}
        body = json.dumps(asked).encode()
        heard = Heard(time.perf_counter())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        async for line in reader:
            if line.startswith(b"data: {"):
                text = json.loads(line[6:])["choices"][0]["text"]
                if text:
                    heard.times.append(time.perf_counter())
                    heard.tokens.append(len(text))
        writer.close()
        if sum(heard.tokens) != tokens:
            raise click.ClickException(f"{sum(heard.tokens)} tokens came, not {tokens}")
        return heard

    @asynccontextmanager
    async def writing(self, count: int, tokens: int) -> AsyncIterator[list[Heard]]:
        """So many who ask without a pause, each anew once its answer is there."""
        done: list[Heard] = []
        over = False

        async def one() -> None:
            while not over:
                done.append(await self.ask(PROMPT, tokens))

        tasks = [asyncio.create_task(one()) for _ in range(count)]
        await asyncio.sleep(0.2)
        yield done
        over = True
        await asyncio.gather(*tasks)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(timeout=30)


async def one_round(room: Room, context: int, slots: int) -> dict[str, Any]:
    """What HTTP gave this time; seconds."""
    tokens = context - PROMPT - 2
    one = await room.ask(PROMPT, tokens)
    start = time.perf_counter()
    await asyncio.gather(*(room.ask(PROMPT, tokens) for _ in range(slots)))
    together = (time.perf_counter() - start) / (slots * tokens)
    question = min(QUESTION, context - 2)
    alone = [(await room.ask(question, 1)).first for _ in range(ASKED_A_ROUND)]
    spans, among = [], []
    async with room.writing(slots - 1, tokens) as done:
        for _ in range(ASKED_A_ROUND):
            among.append((await room.ask(question, 1)).first)
        for _ in range(ASKED_A_ROUND):
            long = await room.ask(context - 1, 1)
            spans.append((long.asked_at, long.times[0]))
    beside = [gap for heard in done for gap in heard.gaps(0, float("inf"))]
    worst = max(gap for heard in done for span in spans for gap in heard.gaps(*span))
    return {
        "one": one.token_seconds, "one_whole": (one.times[-1] - one.asked_at) / tokens,
        "together": together, "first_alone": alone, "first_among": among,
        "gap": float(np.median(beside)), "worst_gap": worst,
    }


@click.command()
@click.option("--config", type=click.Choice(["S", "M", "B", "L", *SHAPES]), default="B")
@click.option("--dtype", type=click.Choice(["fp32", *SCHEMES]), default="int8")
@click.option("--slots", type=click.IntRange(2), default=8, show_default=True,
              help="Streams together.")
@click.option("--kv", type=click.Choice(["float32", "int8"]), default="float32",
              help="What the server keeps keys and values in.")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--isa", type=click.Choice(ISAS), help="Restrict both.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def command(config, dtype, slots, kv, rounds, threads, isa, as_json):
    """A server as its clients see it: streams, first tokens, gaps."""
    spec = read_spec(config, dtype, threads)
    loop, room = Worker("ours", spec, isa), Room(spec, slots, isa, {"kv": kv})
    tokens = spec["context"] - PROMPT - 2
    loop.ask("decode", 4)  # warm-up
    asyncio.run(room.ask(PROMPT, tokens))
    found = []
    for _ in range(rounds):
        decode = loop.ask("decode", tokens)
        found.append({"loop": decode, **asyncio.run(one_round(room, spec["context"], slots))})
    loop.close()
    room.close()
    result = {"config": config, "dtype": dtype, "slots": slots, "kv": kv, "threads": threads,
              "machine": timing.headline(), **summary(found)}
    print(json.dumps(result)) if as_json else show(result)


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds, and of first tokens the 95th percentile over all; rates, ms."""
    times = {key: [one[key] for one in found] for key in found[0]}
    first = {key: 1e3 * np.ravel(times[f"first_{key}"]) for key in ("alone", "among")}
    share = [worst / gap for worst, gap in zip(times["worst_gap"], times["gap"], strict=True)]
    rates = {f"{key}_per_second": 1 / timing.spread(times[key]).median
             for key in ("loop", "one", "one_whole", "together")}
    return {
        **rates,
        "one_of_loop": timing.ratio(times, "one", "loop")._asdict(),
        "together_of_one": timing.ratio(times, "together", "one_whole")._asdict(),
        **{f"first_{key}_ms": {"median": float(np.median(ms)), "p95": float(np.percentile(ms, 95))}
           for key, ms in first.items()},
        "gap_ms": 1e3 * timing.spread(times["gap"]).median,
        "worst_gap_ms": 1e3 * max(times["worst_gap"]),
        "worst_gap_of_median": timing.spread(share)._asdict(),
    }


def show(result: dict[str, Any]) -> None:
    """The table for a reader."""
    click.echo(f"{result['config']} {result['dtype']}, {result['threads']} threads")
    click.echo(result["machine"])
    ratio = {key: timing.Spread(**result[key])
             for key in ("one_of_loop", "together_of_one", "worst_gap_of_median")}
    alone, among, slots = result["first_alone_ms"], result["first_among_ms"], result["slots"]
    click.echo(
        f"the decode loop    {result['loop_per_second']:8.0f} tokens/s\n"
        f"one stream         {result['one_per_second']:8.0f} tokens/s after the first, "
        f"{ratio['one_of_loop']} of the loop\n"
        f"  from the question{result['one_whole_per_second']:8.0f} tokens/s\n"
        f"{slots} streams, all     {result['together_per_second']:8.0f} tokens/s, "
        f"{ratio['together_of_one']} of one\n"
        f"first token alone  {alone['median']:8.1f} ms, p95 {alone['p95']:.1f}\n"
        f"  beside {slots - 1}         {among['median']:8.1f} ms, p95 {among['p95']:.1f}\n"
        f"between pieces     {result['gap_ms']:8.1f} ms; while a whole context is read at worst "
        f"{result['worst_gap_ms']:.1f}, {ratio['worst_gap_of_median']} of that"
    )


def work(spec: dict[str, Any]) -> None:
    """The server's side: say the port, and serve until told to end."""
    from bench.peers.writers import Ours
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.run import run
    from tinygpt.serving.security import Gate
    from tinygpt.serving.served import Served
    from tinygpt.tokenizer import CharTokenizer

    few = CharTokenizer.train("ab")
    letters = spec["vocab_size"] - few.vocab_size + 2
    tokenizer = CharTokenizer.train("".join(chr(0x100 + i) for i in range(letters)))
    engine, limits = spec.pop("engine"), spec.pop("limits", {})
    served = Served("bench", Ours(spec).model, tokenizer, settings=engine)
    served.ends = frozenset()  # an answer is as long as it was asked for
    run({"bench": served}, Gate(), Limits(**limits), "127.0.0.1", 0, engine["slots"], False,
        lambda port: print(port, flush=True))


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
