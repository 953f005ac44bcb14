"""A server in a thread of its own, with a small model of 300 tokens that was taught nothing."""

import asyncio
import http.client
import json
import threading

import numpy as np
import pytest

from tests.tinygpt.serving.browser import Browser
from tinygpt.model import ModelShape, build
from tinygpt.serving.limits import Limits
from tinygpt.serving.pages import files
from tinygpt.serving.security import Gate
from tinygpt.serving.served import Served
from tinygpt.serving.server import Server
from tinygpt.tokenizer import train_bpe

TEXT = "The cat sat on the mat. A dog saw the cat, and ran. Żółć, naïve, 日本 🙂!\n\n" * 40
CONTEXT = 64
KEY = "tg-of-this-room"


def make_served(name="tiny", context=CONTEXT, seed=0, form=None, slots=8):
    tokenizer = train_bpe(TEXT, vocab_size=300)
    shape = ModelShape(
        vocab_size=tokenizer.vocab_size, context=context, n_layers=2, n_heads=2, d_model=32
    )
    model = build(shape, np.random.default_rng(seed))
    for parameter in model.parameters():  # larger than at the start: scores are far from even
        parameter.data *= 4 if parameter.data.ndim == 2 else 1
    return Served(name, model.eval(), tokenizer, form, {"slots": slots})


class Room:
    """A running server, and a client of it.  limits, gate: as Server has them."""

    def __init__(self, served, limits=None, gate=None, host="127.0.0.1", slots=8, train=False):
        self._slots, self._train = slots, train
        self.served, self.limits = {one.name: one for one in served}, limits or Limits()
        self._gate, self._host = gate or Gate(free={"/health"}), host
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._ready.wait()

    async def _run(self):
        self.server = await Server.listen(
            self.served, self._gate, self.limits, self._host, 0, slots=self._slots,
            train=self._train,
        )
        self.loop, self.port = asyncio.get_running_loop(), self.server.port
        self._ready.set()
        await self.server.serve()

    def stop(self):
        self.loop.call_soon_threadsafe(self.server.stop)
        self._thread.join()

    @property
    def url(self):
        return f"http://{self._host}:{self.port}"

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection(self._host, self.port, timeout=60)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, {**sent, **(headers or {})})
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def post(self, path, status=200, **body):
        """The JSON of an answer, which must have a status."""
        got, _, content = self.ask("POST", path, body)
        assert got == status, content
        return json.loads(content)

    def get(self, path, status=200):
        got, _, content = self.ask("GET", path)
        assert got == status, content
        return json.loads(content)

    def events(self, path, **body):
        """The events of a streamed answer; the last is "[DONE]"."""
        status, headers, content = self.ask("POST", path, {**body, "stream": True})
        assert status == 200, content
        assert headers["Content-Type"].startswith("text/event-stream")
        lines = content.decode().split("\n\n")
        assert lines.pop() == ""
        events = [line.removeprefix("data: ") for line in lines if not line.startswith(":")]
        assert events[-1] == "[DONE]"
        return [json.loads(event) for event in events[:-1]]


@pytest.fixture(scope="session")
def room():
    """One server for all tests that leave it as it is."""
    found = Room([make_served()])
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for one file of tests."""
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def locked():
    gate = Gate(key=KEY, free={"/health", *files()})
    found = Room([make_served("a"), make_served("b", seed=1)], gate=gate)
    yield found
    found.stop()


@pytest.fixture
def page(browser, locked):
    """The chat page, open and empty."""
    browser.open(f"{locked.url}/health")
    browser.run("localStorage.clear()")
    browser.events.clear()
    browser.open(f"{locked.url}/#key={KEY}")
    browser.until("document.querySelector('#model').options.length == 2")
    browser.run("document.querySelector('#max_tokens').value = 12")
    return browser
