"""The page on which people compare answers, or rate them, and what it asks.

    /                   the page, compare.html or rate.html
    /feedback/enter     a code and consent -> how far they are
    /feedback/next      the next two answers, blind: which model wrote which is not in what is sent;
                        or the next one
    /feedback/judge     left, right or tie (good, bad or unsure), reasons, a note -> kept, and what
                        is next
    /feedback/undo      the last verdict is taken back and its answers are shown again

The connections are those of ../serving: its limits, its gate, its way of refusing.

Read first: ../serving/protocol.py, store.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tinygpt.errors import UserError
from tinygpt.feedback.store import CHOICES, Item, Store
from tinygpt.serving.limits import Limits
from tinygpt.serving.pages import File, files_of
from tinygpt.serving.parameters import TEXT, read
from tinygpt.serving.protocol import Connection, Request, as_json, error_body
from tinygpt.serving.schemas import Schema
from tinygpt.serving.security import Gate, Refusal, check_type

FOLDER = Path(__file__).parent / "page"
REASONS = ("correct", "clear", "kind", "short", "safe")
CODE: Schema = {"type": "string", "minLength": 1, "maxLength": 40}
ENTER: Schema = {
    "type": "object", "required": ["code", "consent"], "additionalProperties": False,
    "properties": {"code": CODE, "consent": {"type": "boolean"}},
}
WHO: Schema = {"type": "object", "required": ["code"], "additionalProperties": False,
               "properties": {"code": CODE}}
JUDGE: Schema = {
    "type": "object", "required": ["code", "item", "choice"], "additionalProperties": False,
    "properties": {
        "code": CODE, "item": {"type": "integer", "minimum": 1},
        "choice": {"type": "string", "enum": [one for kind in CHOICES.values() for one in kind]},
        "reasons": {"type": "array", "maxItems": len(REASONS), "default": [],
                    "items": {"type": "string", "enum": list(REASONS)}},
        "note": {**TEXT, "maxLength": 2000, "default": ""},
        "seconds": {"type": "number", "minimum": 0, "maximum": 1e7, "default": 0},
    },
}
Handler = Callable[[Request], dict[str, Any]]


PAGES = {"pairs": "compare.html", "ratings": "rate.html"}


def files(kind: str = "pairs") -> dict[str, File]:
    """The page's, by address."""
    return files_of(FOLDER, {PAGES[kind]: "/"})


class FeedbackServer:
    """A Service (../serving/protocol.py) over a Store.

    port: that it listens at.
    """

    _listener: asyncio.Server
    port: int

    def __init__(self, store: Store, gate: Gate, limits: Limits):
        self.limits, self.draining = limits, False
        self.connections: set[Connection] = set()
        self._store, self._gate, self._files = store, gate, files(store.kind)
        self._stop = asyncio.Event()
        self._asked: dict[str, Handler] = {
            "/feedback/enter": self._enter, "/feedback/next": self._next,
            "/feedback/judge": self._judge, "/feedback/undo": self._undo,
        }

    @classmethod
    async def listen(
        cls, store: Store, gate: Gate, limits: Limits, host: str, port: int
    ) -> FeedbackServer:
        """A server at an address; port 0 takes a free one.  Raises UserError where it cannot."""
        server = cls(store, gate, limits)
        loop = asyncio.get_running_loop()
        try:
            server._listener = await loop.create_server(lambda: Connection(server), host, port)
        except OSError as error:
            raise UserError(
                f"cannot listen at {host}, port {port}: {error.strerror or error}. Choose another: "
                "--port 0 takes a free one."
            ) from error
        server.port = server._listener.sockets[0].getsockname()[1]
        return server

    async def serve(self) -> None:
        """Answer until `stop`."""
        await self._stop.wait()
        self.draining = True
        self._listener.close()
        for connection in list(self.connections):
            connection.close()
        await asyncio.sleep(0.1)
        for connection in list(self.connections):
            connection.abort()

    def stop(self) -> None:
        """Stop soon."""
        self._stop.set()

    # Service.

    def admit(self, request: Request) -> None:
        """Look at a request before its body is read.  Raises Refusal."""
        self._gate.check(request.method, request.target, request.headers, request.local)
        path = unquote(request.path)
        wanted = "POST" if path in self._asked else "GET"
        if path not in self._asked and path not in self._files:
            raise Refusal(404, f"there is nothing at {request.path[:100]}.", "not_found")
        if request.method not in (wanted, "HEAD" if wanted == "GET" else wanted):
            raise Refusal(405, f"{request.path[:100]} takes {wanted}.", "method_not_allowed",
                          headers=(("Allow", wanted),))
        if request.method == "POST":
            check_type(request.headers)

    async def answer(self, request: Request, reply: Connection) -> None:
        """Hand it to its route, and say what was wrong with it."""
        path = unquote(request.path)
        if path in self._files:
            file = self._files[path]
            await reply.whole(200, file.content, file.kind)
            return
        try:
            found = self._asked[path](request)
        except Refusal as refusal:
            await reply.whole(refusal.status, error_body(refusal), headers=refusal.headers)
        else:
            await reply.whole(200, as_json(found))

    def done(self, request: Request, status: int, seconds: float) -> None:
        """Nothing is logged: who judges when is nobody's business."""

    # Routes.

    def _enter(self, request: Request) -> dict[str, Any]:
        asked = read(request.body, ENTER)
        if not asked["consent"]:
            raise Refusal(400, "without your consent nothing is kept, and nothing is shown.")
        self._store.consent(asked["code"].strip())
        return self._shown(asked["code"].strip(), None)

    def _next(self, request: Request) -> dict[str, Any]:
        return self._shown(self._who(read(request.body, WHO)), None)

    def _judge(self, request: Request) -> dict[str, Any]:
        asked = read(request.body, JUDGE)
        code = self._who(asked)
        if self._store.item(asked["item"]) is None:
            raise Refusal(404, f"there is no item {asked['item']}.", "not_found")
        if asked["choice"] not in CHOICES[self._store.kind]:
            raise Refusal(400, f"here a choice is one of: {', '.join(CHOICES[self._store.kind])}.")
        self._store.judge(code, asked["item"], asked["choice"], asked.get("reasons", ()),
                          asked.get("note", ""), asked.get("seconds", 0.0))
        return self._shown(code, None)

    def _undo(self, request: Request) -> dict[str, Any]:
        code = self._who(read(request.body, WHO))
        number = self._store.undo(code)
        return self._shown(code, None if number is None else self._store.item(number))

    def _who(self, asked: dict[str, Any]) -> str:
        code = str(asked["code"]).strip()
        if not self._store.knows(code):
            raise Refusal(403, "nobody with this code has consented. Enter again.", "unknown_code")
        return code

    def _shown(self, code: str, item: Item | None) -> dict[str, Any]:
        """What the page shows: two answers, or one, or none when all is done.

        item: None for the next one.
        """
        item = item or self._store.next(code)
        done, count = self._store.progress(code)
        found: dict[str, Any] = {"done": done, "count": count}
        if item is not None and self._store.kind == "ratings":
            found |= {"item": item.id, "prompt": item.prompt, "answer": item.a}
        elif item is not None:
            sides = (item.a, item.b) if self._store.left(code, item.id) == "a" else (item.b, item.a)
            found |= {"item": item.id, "prompt": item.prompt, "left": sides[0], "right": sides[1]}
        return found
