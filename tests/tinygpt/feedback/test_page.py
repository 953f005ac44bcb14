"""Its pages in a real browser: two raters at once, by keys, killed in the middle, on a phone."""

import asyncio
import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.tinygpt.serving.browser import CHROMIUM, Browser
from tinygpt.feedback.server import FeedbackServer, files
from tinygpt.feedback.store import Store
from tinygpt.serving.limits import Limits
from tinygpt.serving.security import Gate

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
HOSTILE = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
ITEMS = [(f"Question {i}?", f"{HOSTILE} one {i}", f"two {i}\nand more") for i in range(200)]
AXE = Path(os.environ.get("AXE", "/work/dl/axe/axe.min.js"))


class Room:
    """A running server in a thread, over a file."""

    def __init__(self, path, gate=None):
        self._path, self._gate = path, gate or Gate()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._ready.wait()

    async def _run(self):
        store = Store(self._path)
        self.server = await FeedbackServer.listen(store, self._gate, Limits(), "127.0.0.1", 0)
        self.loop = asyncio.get_running_loop()
        self.url = f"http://127.0.0.1:{self.server.port}"
        self._ready.set()
        await self.server.serve()
        store.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.server.stop)
        self._thread.join()

    def ask(self, path, status=200, headers=(), **body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request("POST", path, json.dumps(body),
                           {"Content-Type": "application/json", **dict(headers)})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        assert answer.status == status, content
        return content


def made(path, count=200, kind="pairs"):
    store = Store(path)
    store.add([item[: 3 if kind == "pairs" else 2] for item in ITEMS[:count]], 3, kind)
    store.close()
    return path


@pytest.fixture
def room(tmp_path):
    found = Room(made(tmp_path / "feedback.sqlite", 4))
    yield found
    found.stop()


def test_nothing_is_shown_without_consent(room):
    refused = room.ask("/feedback/enter", 400, code="mia", consent=False)
    assert "without your consent" in refused["error"]["message"]
    assert room.ask("/feedback/next", 403, code="mia")["error"]["code"] == "unknown_code"
    shown = room.ask("/feedback/enter", code=" mia ", consent=True)
    assert (shown["done"], shown["count"]) == (0, 4)
    assert set(shown) == {"done", "count", "item", "prompt", "left", "right"}  # and not by whom


def test_what_is_wrong_is_said(room):
    room.ask("/feedback/enter", code="mia", consent=True)
    for body, status in (
        ({"code": "mia", "item": 99, "choice": "left"}, 404),
        ({"code": "mia", "item": 1, "choice": "both"}, 400),
        ({"code": "mia", "item": 1}, 400), ({"code": "tom", "item": 1, "choice": "left"}, 403),
        ({"code": "mia", "item": 1, "choice": "left", "reasons": ["because"]}, 400),
    ):
        assert room.ask("/feedback/judge", status, **body)["error"]["message"]
    assert room.ask("/feedback/nothing", 404)["error"]["code"] == "not_found"
    assert room.ask("/feedback/undo", code="mia")["done"] == 0


def test_one_answer_is_rated_and_choices_are_of_its_kind(tmp_path):
    room = Room(made(tmp_path / "feedback.sqlite", 2, "ratings"))
    shown = room.ask("/feedback/enter", code="mia", consent=True)
    assert set(shown) == {"done", "count", "item", "prompt", "answer"}
    refused = room.ask("/feedback/judge", 400, code="mia", item=shown["item"], choice="left")
    assert "good, bad, unsure" in refused["error"]["message"]
    for choice in ("good", "unsure"):
        shown = room.ask("/feedback/judge", code="mia", item=shown["item"], choice=choice)
        shown = shown if "item" in shown else room.ask("/feedback/undo", code="mia")
    assert (shown["done"], set(shown) >= {"answer"}) == (1, True)
    room.stop()


def test_a_key_is_asked_for_where_others_can_come(tmp_path):
    gate = Gate(key="tg-of-this-file", free=set(files()))
    room = Room(made(tmp_path / "feedback.sqlite", 4), gate)
    room.ask("/feedback/enter", 401, code="mia", consent=True)
    key = {"Authorization": "Bearer tg-of-this-file"}
    assert room.ask("/feedback/enter", headers=key, code="mia", consent=True)["count"] == 4
    room.stop()


def enter(page, room, code):
    page.open(room.url)
    page.run("document.querySelector('#code').focus()")
    page.write(code)
    page.press("Tab")
    page.press(" ", " ")
    page.press("Enter", "\r")
    page.until("!document.querySelector('#asked').hidden")


def progress(page):
    return page.run("document.querySelector('#count').textContent")


def seen(page):
    return page.run("['prompt', 'left', 'right'].map(i => document.getElementById(i).textContent)")


def violations(page):
    page.run(AXE.read_text())
    found = page.run("axe.run().then(r => r.violations.map(v => v.id + ': ' + "
                     "v.nodes.map(n => n.html).join(' ')))")
    return found


@needs_browser
@pytest.mark.skipif(not AXE.exists(), reason="axe.min.js is not here: AXE names it")
@pytest.mark.parametrize("kind", ["pairs", "ratings"])
def test_no_screen_of_it_shuts_anybody_out(tmp_path, kind):
    room, page = Room(made(tmp_path / "feedback.sqlite", 2, kind)), Browser(tmp_path / "browser")
    page.open(room.url)
    for scheme in ("light", "dark"):
        page.do("Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert violations(page) == []
    enter(page, room, "mia")
    page.run("document.querySelector('#why').open = true")
    for scheme in ("light", "dark"):
        page.do("Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert violations(page) == []
    for done in (1, 2):
        page.press("3", "3")
        page.until(f"document.querySelector('#count').textContent == '{done} of 2'")
    assert violations(page) == []
    page.close()
    room.stop()


@needs_browser
def test_it_is_used_by_keyboard_taken_back_and_runs_nothing(tmp_path):
    room, page = Room(made(tmp_path / "feedback.sqlite", 3)), Browser(tmp_path / "browser")
    enter(page, room, "mia")
    first = seen(page)
    assert {HOSTILE in side for side in first[1:]} == {True, False}  # as text
    page.press("1", "1")
    page.until("document.querySelector('#count').textContent == '1 of 3'")
    assert seen(page) != first
    page.press("u", "u")
    page.until("document.querySelector('#count').textContent == '0 of 3'")
    assert seen(page) == first
    page.run("document.querySelector('#why').open = true")
    page.run("document.querySelector('#note').focus()")
    page.press("1", "1")  # in a note it is a letter
    page.write("23u")
    assert progress(page) == "0 of 3"
    page.run("document.querySelector('[value=clear]').click()")
    page.run("document.querySelector('[data-choice=right]').click()")
    page.until("document.querySelector('#count').textContent == '1 of 3'")
    store = Store(tmp_path / "feedback.sqlite")
    (verdict,) = store.verdicts()
    assert verdict.reasons == ("clear",) and verdict.note == "123u" and verdict.seconds > 0
    page.open(room.url)  # a reload goes on where they were
    page.until("document.querySelector('#count').textContent == '1 of 3'")
    assert page.run("window.hit") is None
    store.close()
    page.close()
    room.stop()


@needs_browser
def test_ratings_are_given_by_keyboard_and_taken_back(tmp_path):
    path = made(tmp_path / "feedback.sqlite", 3, "ratings")
    room, page = Room(path), Browser(tmp_path / "browser")
    enter(page, room, "mia")
    answer = "document.querySelector('#answer').textContent"
    said = {}
    for done, key in enumerate("123", 1):
        said[page.run(answer)] = key
        page.press(key, key)
        page.until(f"document.querySelector('#count').textContent == '{done} of 3'")
    page.until("!document.querySelector('#end').hidden")
    page.press("u", "u")
    page.until("document.querySelector('#count').textContent == '2 of 3'")
    assert said[page.run(answer)] == "3" and HOSTILE in page.run(answer)  # as text
    page.run("document.querySelector('[data-choice=bad]').click()")
    page.until("!document.querySelector('#end').hidden")
    assert page.run("window.hit") is None
    page.close()
    room.stop()
    store = Store(path)
    marks = {item.a: said[item.a] for item in store.items()}
    wanted = {"1": "good", "2": "bad", "3": "bad"}
    assert {one.item: one.preferred for one in store.verdicts()} == {
        item.id: wanted[marks[item.a]] for item in store.items()
    }
    store.close()


@needs_browser
@pytest.mark.parametrize("kind", ["pairs", "ratings"])
def test_it_fits_a_phone(tmp_path, kind):
    room, page = Room(made(tmp_path / "feedback.sqlite", 3, kind)), Browser(tmp_path / "browser")
    page.do("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=2,
            mobile=True)
    enter(page, room, "mia")
    assert page.run("document.documentElement.scrollWidth <= 360")
    small = page.run("[...document.querySelectorAll('#asked button')].filter(b => "
                     "b.getBoundingClientRect().height < 44).length")
    assert small == 0
    if folder := os.environ.get("SHOTS"):
        for name in ("phone",):
            data = page.do("Page.captureScreenshot")["data"]
            Path(folder, f"{kind}-{name}.png").write_bytes(base64.b64decode(data))
        page.do("Emulation.clearDeviceMetricsOverride")
        page.do("Emulation.setDeviceMetricsOverride", width=1100, height=760,
                deviceScaleFactor=1, mobile=False)
        page.run("document.querySelector('#why').open = true")
        data = page.do("Page.captureScreenshot")["data"]
        Path(folder, f"{kind}-wide.png").write_bytes(base64.b64decode(data))
    page.close()
    room.stop()


WORKER = """
import asyncio, sys
from tinygpt.feedback.server import FeedbackServer
from tinygpt.feedback.store import Store
from tinygpt.serving.limits import Limits
from tinygpt.serving.security import Gate

async def run():
    server = await FeedbackServer.listen(
        Store(sys.argv[1]), Gate(), Limits(), "127.0.0.1", int(sys.argv[2])
    )
    print(server.port, flush=True)
    await server.serve()

asyncio.run(run())
"""


class Killed:
    """A server in a process of its own, that can be killed and started again at its port."""

    def __init__(self, path):
        self._path, self.port = path, 0
        self.start()

    def start(self):
        self._worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(self._path), str(self.port)],
            stdout=subprocess.PIPE, text=True,
        )
        self.port = int(self._worker.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def kill(self):
        self._worker.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._worker.wait()
        self._worker.stdout.close()


@needs_browser
def test_two_raters_at_once_killed_in_the_middle_lose_nothing(tmp_path):
    """Two browsers by turns, by keyboard; PAIRS=100 is 200 comparisons."""
    count = int(os.environ.get("PAIRS", "20"))
    path = made(tmp_path / "feedback.sqlite", count)
    room = Killed(path)
    pages = {code: Browser(tmp_path / code) for code in ("mia", "tom")}
    for code, page in pages.items():
        enter(page, room, code)
    said = {code: {} for code in pages}
    for done in range(count):
        for number, (code, page) in enumerate(pages.items()):
            key = "123"[(done + number) % 3]
            said[code][seen(page)[0]] = key
            page.press(key, key)
            page.until(f"document.querySelector('#count').textContent == '{done + 1} of {count}'")
        if done in (count // 3, 2 * count // 3):
            room.kill()
            page.press("1", "1")  # nobody is there
            page.until("!document.querySelector('#notice').hidden")
            room.start()
    for page in pages.values():
        page.until("!document.querySelector('#end').hidden")
        page.close()
    room.kill()
    store = Store(path)
    verdicts, items = store.verdicts(), {item.id: item for item in store.items()}
    assert len(verdicts) == 2 * count
    for one in verdicts:
        key = said[one.rater][items[one.item].prompt]
        right = "b" if one.left == "a" else "a"
        assert one.preferred == {"1": one.left, "2": right, "3": None}[key]
    store.close()
