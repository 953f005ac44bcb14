"""A real browser, spoken to over a pipe in its own protocol (Chrome DevTools)."""

import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
         "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """One page in it.  events: what it told, such as requests and errors."""

    def __init__(self, folder):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads commands at 3 and writes at 4.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
             "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run",
             "--disable-background-networking", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._held, self._session = 0, b"", None
        self.events = []
        targets = self.do("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.do("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method, **params):
        """The result of a command."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            got = self._next()
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]
            self.events.append(got)

    def _next(self):
        while b"\0" not in self._held:
            assert select.select([self._in], [], [], 60)[0], "the browser says nothing"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has ended"
            self._held += data
        first, _, self._held = self._held.partition(b"\0")
        return json.loads(first)

    def open(self, url):
        self.do("Page.navigate", url=url)
        self.until("document.readyState == 'complete'")

    def run(self, code):
        """The value of JavaScript in the page, of a promise when it is kept."""
        got = self.do("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def until(self, code):
        end = time.monotonic() + 30
        while not (found := self.run(code)):
            assert time.monotonic() < end, code
            time.sleep(0.01)
        return found

    def press(self, key, text="", modifiers=0):
        """A key, as a hand does; text: what it writes."""
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text,
                    windowsVirtualKeyCode=CODES.get(key, 0), modifiers=modifiers)

    def tab(self, wanted):
        """Go on with the Tab key to the next element of a selector, or with just this text."""
        here = (f"((e) => e.textContent.trim() == {json.dumps(wanted)} || e.matches("
                f"{json.dumps(wanted if wanted[0] in '#.[' else 'x')}))(document.activeElement)")
        for _ in range(300):
            self.press("Tab")
            if self.run(here):
                return
        raise AssertionError(f"no Tab comes to {wanted}")

    def enter(self):
        self.press("Enter", "\r")

    def write(self, text):
        self.do("Input.insertText", text=text)

    def told(self, method):
        """The parameters of all events of a kind."""
        return [one["params"] for one in self.events if one.get("method") == method]

    def close(self):
        self._session = None
        self.do("Browser.close")
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
