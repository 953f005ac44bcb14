"""The server: listens, lets in, hands each request to its route, and stops without losing answers.

    server = await Server.listen(models, host="127.0.0.1", port=8000)
    await server.serve()          # until `stop` is called, as the first Ctrl-C or SIGTERM does

Read next: security.py and limits.py, what is refused; api.py, what is answered.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from tinygpt.errors import UserError
from tinygpt.machine.terminal import visible
from tinygpt.serving import learn
from tinygpt.serving.api import Api
from tinygpt.serving.inside.routes import Inside
from tinygpt.serving.limits import Busy, Limits, Places
from tinygpt.serving.metrics import Metrics
from tinygpt.serving.openapi import description
from tinygpt.serving.pages import files
from tinygpt.serving.protocol import Connection, Request, as_json, error_body
from tinygpt.serving.security import Gate, Refusal, check_type
from tinygpt.serving.served import Served
from tinygpt.serving.worker import Worker

Handler = Callable[[Request, Connection], Awaitable[None]]


class Server:
    """A Service (protocol.py) of some models.

    port: that it listens at.  draining: it was told to stop.
    """

    def __init__(
        self, served: dict[str, Served], gate: Gate, limits: Limits, slots: int, log: bool,
        train: bool = False,
    ):
        self.limits, self.draining = limits, False
        self.connections: set[Connection] = set()
        self._gate, self._log = gate, log
        self._served = served
        self._metrics = Metrics()
        self._places = Places(limits, slots)
        self._worker = Worker(served.values(), self._metrics, limits.unread)
        self._api = Api(served, limits, self._worker, self._places, self._metrics)
        self._inside = Inside(self._api.model_of, limits, self._worker, self._places, train)
        self._files = files()
        self._stop = asyncio.Event()
        self._routes = self._table()
        self._gauges()

    @classmethod
    async def listen(
        cls, served: dict[str, Served], gate: Gate, limits: Limits, host: str, port: int,
        slots: int = 8, log: bool = False, train: bool = False,
    ) -> Server:
        """A server at an address; port 0 takes a free one.  Raises UserError where it cannot.

        train: whether its pages may start and stop trainings.
        """
        server = cls(served, gate, limits, slots, log, train)
        loop = asyncio.get_running_loop()
        try:
            server._listener = await loop.create_server(
                lambda: Connection(server), host, port, backlog=512
            )
        except OSError as error:
            server._worker.end()
            raise UserError(
                f"cannot listen at {host}, port {port}: {error.strerror or error}. Choose another: "
                "--port 0 takes a free one."
            ) from error
        server.port = server._listener.sockets[0].getsockname()[1]
        return server

    _listener: asyncio.Server
    port: int

    async def serve(self) -> None:
        """Answer until `stop`; then let what is under way come to its end for a while."""
        await self._stop.wait()
        self.draining = True
        self._listener.close()
        for connection in list(self.connections):
            if connection.idle:
                connection.close()
        until = time.monotonic() + self.limits.drain_seconds
        while self.connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
        self._worker.end()
        self._inside.end()

    def stop(self) -> None:
        """Stop soon."""
        self._stop.set()

    # Service.

    def admit(self, request: Request) -> None:
        """Look at a request before its body is read.  Raises Refusal."""
        origin = request.headers.get("origin")
        if origin in self._gate.origins:
            request.extra = (("Access-Control-Allow-Origin", str(origin)), ("Vary", "Origin"))
        if request.target.startswith("/"):
            self._gate.check(request.method, request.target, request.headers, request.local)
            self._find(request)
            if request.method == "POST":
                check_type(request.headers)
        else:
            raise Refusal(400, "the request's target is no path. Send one that begins with /.")
        if self.draining:
            raise Refusal(503, "the server is about to stop. Ask again soon.",
                          headers=(("Retry-After", "5"),))

    async def answer(self, request: Request, reply: Connection) -> None:
        """Hand it to its route, and say what was wrong with it."""
        try:
            if request.method == "OPTIONS":
                await self._preflight(request, reply)
            else:
                await self._find(request)(request, reply)
        except Refusal as error:
            refusal = error
        except Busy as error:
            again = (("Retry-After", str(error.seconds)),)
            refusal = Refusal(429, str(error), "busy", headers=again)
        except UserError as error:
            refusal = Refusal(400, str(error), "invalid_value")
        else:
            return
        await reply.whole(refusal.status, error_body(refusal), headers=refusal.headers)

    def done(self, request: Request, status: int, seconds: float) -> None:
        """Count and log it: who, what, how; never what was said."""
        self._metrics.requests.add(of=str(status))
        if self._log:
            line = (
                f"{time.strftime('%H:%M:%S')} {request.address} {request.method} "
                f"{request.path[:100]} {status} {1000 * seconds:.0f} ms"
            )
            print(visible(line), file=sys.stderr, flush=True)

    # Routes.

    def _table(self) -> dict[str, dict[str, Handler]]:
        api = self._api
        return {
            "/health": {"GET": self._health},
            "/metrics": {"GET": self._show_metrics},
            "/openapi.json": {"GET": self._describe},
            "/v1/models": {"GET": api.models},
            "/v1/completions": {"POST": api.completions},
            "/v1/chat/completions": {"POST": api.chat},
            "/v1/embeddings": {"POST": api.embeddings},
            "/tokenize": {"POST": api.tokenize},
            "/detokenize": {"POST": api.detokenize},
            "/tokenizer_info": {"GET": api.tokenizer_info},
            **self._inside.table(),
            **learn.table(),
            **dict.fromkeys(self._files, {"GET": self._show_file}),
            **{f"/v1/models/{name}": {"GET": api.model} for name in self._served},
        }

    def _find(self, request: Request) -> Handler:
        methods = self._routes.get(unquote(request.path))
        if methods is None:
            raise Refusal(404, f"there is nothing at {request.path[:100]}.", "not_found")
        if request.method == "OPTIONS":
            return self._preflight
        found = methods.get("GET" if request.method == "HEAD" else request.method)
        if found is None:
            raise Refusal(
                405, f"{request.path} takes {', '.join(methods)}, and not {request.method[:20]}.",
                "method_not_allowed", headers=(self._allowed(request),),
            )
        return found

    def _allowed(self, request: Request) -> tuple[str, str]:
        methods = self._routes[unquote(request.path)]
        return "Allow", ", ".join([*methods, *["HEAD"] * ("GET" in methods), "OPTIONS"])

    async def _preflight(self, request: Request, reply: Connection) -> None:
        """What a browser asks before it lets a page of a named origin ask."""
        named = [("Access-Control-Allow-Methods", "GET, POST"), ("Access-Control-Max-Age", "600"),
                 ("Access-Control-Allow-Headers", "authorization, content-type")]
        allowed = request.headers.get("origin") in self._gate.origins
        headers = [*named, self._allowed(request)] if allowed else [self._allowed(request)]
        await reply.whole(200, b"", headers=headers)

    async def _health(self, request: Request, reply: Connection) -> None:
        alive = self._worker.alive
        status = {"status": "ok" if alive else "the computing thread has ended"}
        await reply.whole(200 if alive else 500, as_json(status))

    async def _show_file(self, request: Request, reply: Connection) -> None:
        """A file of the page; nothing of it where the browser has it already."""
        file = self._files[unquote(request.path)]
        headers = [("ETag", file.tag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding")]
        if request.headers.get("if-none-match") == file.tag:
            await reply.whole(304, b"", file.kind, headers)
        elif "gzip" in request.headers.get("accept-encoding", ""):
            packed = [*headers, ("Content-Encoding", "gzip")]
            await reply.whole(200, file.packed, file.kind, packed)
        else:
            await reply.whole(200, file.content, file.kind, headers)

    async def _show_metrics(self, request: Request, reply: Connection) -> None:
        text = self._metrics.text().encode()
        await reply.whole(200, text, "text/plain; version=0.0.4; charset=utf-8")

    async def _describe(self, request: Request, reply: Connection) -> None:
        from importlib.metadata import version  # which takes longer to import than to ask

        ids = min(one.tokenizer.vocab_size for one in self._served.values())
        found = description(version("tinygpt"), self._gate.key is not None, ids)
        await reply.whole(200, as_json(found))

    def _gauges(self) -> None:
        served, gauge = self._served.values(), self._metrics.gauge
        gauge("tinygpt_requests_running", "Answers in the batch.",
              lambda: sum(one.engine.running for one in served if one.engine is not None))
        gauge("tinygpt_requests_waiting", "Answers that wait for a place.",
              lambda: sum(one.engine.waiting for one in served if one.engine is not None))
        gauge("tinygpt_connections", "Open connections.", lambda: len(self.connections))
