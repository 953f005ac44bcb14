"""The screens of /look: what their numbers take, what a hover takes, what a training notices.

    python -m bench look                                   B at 64 tokens, fp32 and int8
    python -m bench look --gguf SmolLM2-135M-Instruct.Q4_1.gguf --rounds 3
    python -m bench look --training                        steps watched and unwatched, in turns
    python -m bench look --hover                           in Chromium

Without flags: a server of random weights in a process of its own; a round asks a text that nobody
asked before for what the attention, lens and account screens ask, in seconds that the server says
it took ("seconds" of each answer). Bars: attention, lens and account together 100 ms (p95).

--training: a run of S in a process of its own, watched by three readers for 4 s and by nobody for
4 s, again and again; the ratio of steps a second. And how long after its line was written a step
is with a reader. --hover: a head's map, the pointer over 500 cells; and the pages from the address
to where they can be used, on a CPU that Chromium makes four times slower.

Read next: ../tinygpt/serving/inside/looks.py.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing
from bench.generate import read_spec
from bench.serve import Room

TOKENS, WATCHED, READERS = 64, 4.0, 3
AT_ONCE = 6  # rows of the lens that page/see_lens.js asks for
TRAIN = (
    "import sys, tinygpt; tinygpt.train('S', sys.argv[1], ['data.source=stories',"
    "'data.stories_mb=1', 'training.steps=1000000', 'training.eval_every=none',"
    "'training.sample_every=none', 'training.checkpoint_every=400'])"
)


def post(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    if answer.status != 200:
        raise click.ClickException(f"{path}: {found}")
    return found


def one_round(port: int, text: str) -> dict[str, float]:
    """Milliseconds of the server for each screen; of the lens also until its first row."""
    def ask(name: str, **more: Any) -> dict[str, Any]:
        return post(port, f"/look/{name}", {"text": text, **more})

    attention = ask("attention")["seconds"] + ask("head", layer=1, head=1)["seconds"]
    text = text[1:] + text[0]  # a screen that is opened by itself finds no pass
    start = time.perf_counter()
    last = post(port, "/look/model", {})["layers"]
    lens = ask("lens", rows=[last])["seconds"]
    seen = time.perf_counter() - start
    account = ask("account", position=TOKENS // 2)["seconds"]
    for end in range(last, 0, -AT_ONCE):
        lens += ask("lens", rows=list(range(max(0, end - AT_ONCE), end)))["seconds"]
    return {"attention": 1e3 * attention, "lens": 1e3 * lens, "account": 1e3 * account,
            "all three": 1e3 * (attention + lens + account), "first row seen": 1e3 * seen,
            "lens seen": 1e3 * (time.perf_counter() - start)}


def table(name: str, rounds: list[dict[str, float]]) -> None:
    click.echo(f"{name}: {len(rounds)} texts of {TOKENS} tokens, ms (median, p95)")
    for key in rounds[0]:
        values = [one[key] for one in rounds]
        click.echo(f"  {key:16}{np.median(values):9.1f}{np.percentile(values, 95):9.1f}")


def random_weights(config: str, dtype: str, rounds: int, threads: int) -> None:
    spec = read_spec(config, dtype, threads)
    room, rng = Room(spec, 8, None), np.random.default_rng(0)
    try:
        texts = ["".join(chr(0x100 + i) for i in rng.integers(0, spec["vocab_size"] - 8, TOKENS))
                 for _ in range(rounds + 1)]
        found = [one_round(room.port, text) for text in texts]
    finally:
        room.close()
    table(f"{config} {dtype}, {threads} threads", found[1:])


def a_file(path: str, rounds: int, threads: int) -> None:
    words = [sys.executable, "-m", "tinygpt", "serve", path, "--port", "0", "--no-log",
             "--context", "256"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True,
                          env=timing.thread_environment(threads)) as server:
        assert server.stderr is not None
        try:
            port = int(server.stderr.readline().rpartition(":")[2])
            rng, found = np.random.default_rng(0), []
            for _ in range(rounds + 1):
                ids = rng.integers(1000, 20000, TOKENS).tolist()
                text = post(port, "/detokenize", {"tokens": ids})["prompt"]
                while len(post(port, "/tokenize", {"prompt": text})["tokens"]) > TOKENS:
                    text = text[:-4]
                found.append(one_round(port, text))
        finally:
            server.terminate()
    table(f"{Path(path).name}, {threads} threads", found[1:])


def training(rounds: int, threads: int) -> None:
    """Steps a second of a run that is watched, over those of the same run unwatched."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        environment = timing.thread_environment(threads)
        trainer = subprocess.Popen([sys.executable, "-c", TRAIN, str(run)], env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not list(run.glob("checkpoints/step-*")):
            if trainer.poll() is not None:
                raise click.ClickException("the training ended")
            time.sleep(0.1)
        words = [sys.executable, "-m", "bench.look", str(run)]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert server.stdout is not None
            port, ratios, late = int(server.stdout.readline()), [], []
            for _ in range(rounds):
                alone = pace(run)
                readers = [Reader(port) for _ in range(READERS)]
                time.sleep(1)
                written: dict[int, float] = {}
                watched = pace(run, written)
                for reader in readers:
                    late += reader.leave(written)
                ratios.append(watched / alone)
        finally:
            for process in (server, trainer):
                process.terminate()
                process.wait()
    click.echo(f"a training of S, {threads} threads, watched by {READERS}: "
               f"{timing.spread(ratios)} of its steps a second alone")
    click.echo(f"a step is with a reader {np.median(late):.2f} s after it was written, at worst "
               f"{max(late):.2f} ({len(late):,} steps)")


def steps(run: Path) -> int:
    """How many lines metrics.jsonl has, a step each."""
    return (run / "metrics.jsonl").read_bytes().count(b"\n")


def pace(run: Path, written: dict[int, float] | None = None) -> float:
    """Steps a second, for WATCHED seconds.  written: is filled with when each was there."""
    before, start = steps(run), time.perf_counter()
    last = before
    while time.perf_counter() < start + WATCHED:
        time.sleep(0.02)
        if written is not None and (now := steps(run)) > last:
            written.update(dict.fromkeys(range(last + 1, now + 1), time.perf_counter()))
            last = now
    return (steps(run) - before) / (time.perf_counter() - start)


class Reader:
    """A reader of /look/training, who notes when each step came."""

    def __init__(self, port: int):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("POST", "/look/training", "{}",
                                 {"Content-Type": "application/json"})
        self._answer, self._over = self._connection.getresponse(), False
        self._came: dict[int, float] = {}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._over and (line := self._answer.readline()):
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["event"] == "steps":
                    now = time.perf_counter()
                    self._came.update(dict.fromkeys(event["value"]["step"], now))

    def leave(self, written: dict[int, float]) -> list[float]:
        """Seconds from when a step was written to when it came, of those known of both."""
        self._over = True
        self._thread.join()
        self._connection.close()
        return [at - written[step] for step, at in self._came.items() if step in written]


def hover(rounds: int) -> None:
    """Milliseconds of the page for one move of the pointer over a head's map of 64 tokens."""
    from tests.tinygpt.serving.browser import Browser

    spec = read_spec("B", "int8", 1)
    room = Room(spec, 8, None)
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(folder)
        try:
            text = "".join(chr(0x100 + i) for i in range(TOKENS))
            usable(browser, room.port, rounds)
            browser.open(f"http://127.0.0.1:{room.port}/look#screen=attention&text={text}")
            browser.until("document.querySelector('#busy').textContent.startsWith('Made')")
            times = browser.run("""(() => {
              const map = document.querySelector("figure canvas");
              const box = map.getBoundingClientRect();
              const times = [];
              for (let i = 0; i < MOVES; i++) {
                const start = performance.now();
                map.dispatchEvent(new PointerEvent("pointermove", {
                  clientX: box.left + box.width * ((i * 7 % 64) + .5) / 64,
                  clientY: box.top + box.height * ((i * 3 % 64) + .5) / 64,
                }));
                document.body.offsetHeight; // lays out what was changed
                times.push(performance.now() - start);
              }
              return times;
            })()""".replace("MOVES", str(100 * rounds)))
        finally:
            browser.close()
            room.close()
    click.echo(f"a hover: {np.median(times):.2f} ms, p95 {np.percentile(times, 95):.2f}, at worst "
               f"{max(times):.2f} ({len(times)} moves, laid out)")


def usable(browser: Any, port: int, rounds: int) -> None:
    """Milliseconds from the address to where a page can be used, four times slower than here."""
    browser.do("Network.setCacheDisabled", cacheDisabled=True)
    browser.do("Emulation.setCPUThrottlingRate", rate=4)
    for page, ready in (("/", "document.querySelector('#model').options.length"),
                        ("/look", "document.querySelectorAll('#screen a').length")):
        times = []
        for _ in range(rounds):
            browser.open(f"http://127.0.0.1:{port}{page}")
            browser.until(ready)
            times.append(browser.run("performance.now()"))
            browser.open("about:blank")
        click.echo(f"{page:6} can be used after {np.median(times):.0f} ms, at worst "
                   f"{max(times):.0f} ({rounds} times, without a cache, CPU four times slower)")
    browser.do("Emulation.setCPUThrottlingRate", rate=1)


@click.command()
@click.option("--gguf", metavar="FILE", help="A model's file in place of random weights.")
@click.option("--training", "watching", is_flag=True, help="What a training notices.")
@click.option("--hover", "hovering", is_flag=True, help="What the page takes, in Chromium.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def command(gguf, watching, hovering, rounds, threads):
    """The screens of /look: milliseconds of the server, of a hover; what a training notices."""
    click.echo(timing.headline())
    if gguf:
        a_file(gguf, rounds, threads)
    elif watching:
        training(rounds, threads)
    elif hovering:
        hover(rounds)
    else:
        for dtype in ("fp32", "int8"):
            random_weights("B", dtype, 4 * rounds, threads)


def serve_run(folder: str) -> None:
    """The server's side of `training`: say the port, and serve until told to end."""
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.run import run
    from tinygpt.serving.security import Gate
    from tinygpt.serving.served import Served

    served = Served.open(folder, lambda text: None, {})
    run({one.name: one for one in served}, Gate(), Limits(), "127.0.0.1", 0, 8, False,
        lambda port: print(port, flush=True))


if __name__ == "__main__":
    serve_run(sys.argv[1])
