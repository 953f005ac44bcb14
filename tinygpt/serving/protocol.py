"""HTTP/1.1 over asyncio: one connection, its requests one after another, each with a deadline.

h11 reads and writes the protocol's bytes; what is here is patience and its end. A request moves on
like this, and nothing of it can last or grow without a limit (limits.py):

    head      in head_seconds and head_bytes; then `admit` may refuse it, before a body is read
    body      in body_seconds and body_bytes, counted as it comes: also one without a length
    answer    `answer` runs as a task; a client that goes away cancels it, wherever it waits
    reading   pieces are written as the client takes them; one who takes nothing is left

Frameworks do not give these: uvicorn has no deadline for a request and no limit for a body, and
a middleware of Starlette's can hide that a client went away.

Read next: server.py, what answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol

import h11

from tinygpt.serving.limits import Limits
from tinygpt.serving.security import HEADERS, Refusal

WRITE_BUFFER = 65_536  # bytes that wait here for a reader; as many again wait in the kernel
MORE = 65_536  # bytes that are read and thrown away after a refusal, so that it arrives
MORE_SECONDS = 1.0
PIECES = 4096  # of a body; each costs time to read, whatever its size
JSON = "application/json"
_COMPACT = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


@dataclass
class Request:
    """headers: by their names in small letters.  path: without the query.
    address: the client's.  local: ours, that it connected to.
    extra: headers of its answer, whatever that is."""

    method: str
    target: str
    headers: dict[str, str]
    address: str
    local: str
    body: bytearray = field(default_factory=bytearray)
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Gone(Exception):
    """The client went away, or takes nothing."""


class Service(Protocol):
    """Who answers the requests of all connections."""

    limits: Limits
    connections: set[Connection]
    draining: bool

    def admit(self, request: Request) -> None:
        """Look at a request before its body is read.  Raises Refusal."""

    async def answer(self, request: Request, reply: Connection) -> None:
        """Call `reply.whole` once, or `reply.begin` and then `reply.piece` for each piece."""

    def done(self, request: Request, status: int, seconds: float) -> None:
        """A request was answered, or its client is gone."""


def error_body(refusal: Refusal) -> bytes:
    """The error as OpenAI's clients expect it."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
        refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error"
    )
    return as_json({"error": {
        "message": str(refusal), "type": kind, "param": refusal.param, "code": refusal.code,
    }})


def as_json(value: Any) -> bytes:
    return _COMPACT.encode(value).encode()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, service: Service):
        self._service, self._limits = service, service.limits
        self._http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=service.limits.head_bytes
        )
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._request: Request | None = None
        self._began, self._status, self._pieces = 0.0, 0, 0
        self._taking = asyncio.Event()  # whether the client takes what is written
        self._taking.set()
        self._discard: int | None = None  # bytes still to be thrown away; None while we listen

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._address = _host(transport.get_extra_info("peername"))
        self._local = _host(transport.get_extra_info("sockname"))
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        _bound_kernel_buffer(transport)
        self._service.connections.add(self)
        if len(self._service.connections) > self._limits.connections:
            transport.abort()
            return
        self._wait(self._limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self._discard is not None:
            self._discard -= len(data)
            if self._discard < 0:
                self._transport.abort()
            return
        self._http.receive_data(data)
        if self._task is None:
            self._advance()
        elif len(self._http.trailing_data[0]) > self._limits.head_bytes:
            self._transport.abort()  # requests upon requests before the first is answered

    def eof_received(self) -> None:
        """The client will say no more. It has gone: nobody else shuts half a connection."""
        if self._task is not None:
            self._task.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        self._service.connections.discard(self)
        self._wait(None)
        self._taking.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._taking.clear()

    def resume_writing(self) -> None:
        self._taking.set()

    # Reading a request.

    @property
    def idle(self) -> bool:
        """Between two requests."""
        return self._task is None and self._http.their_state is h11.IDLE

    def close(self) -> None:
        """End the connection once what is written has been taken, or nobody takes it."""
        self._transport.close()
        self._wait(self._limits.stall_seconds, self._transport.abort)

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def _wait(self, seconds: float | None, late: Any = None) -> None:
        """Have one deadline from now on, or none."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, late or self._late)

    def _late(self) -> None:
        if self._http.their_state is h11.IDLE and not self._http.trailing_data[0]:
            self.close()
            return
        self._refuse(Refusal(408, "the request took too long to arrive. Send it at once."))

    def _advance(self) -> None:
        try:
            while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Request):
                    self._begin(event)
                elif isinstance(event, h11.Data):
                    self._take(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._wait(None)
                    self._task = self._loop.create_task(self._answer())
                    return
                else:  # h11.ConnectionClosed
                    self.close()
                    return
        except Refusal as refusal:
            self._refuse(refusal)
        except h11.RemoteProtocolError as error:
            self._refuse(Refusal(error.error_status_hint, f"this is no HTTP request: {error}."))
        else:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self._transport.write(self._http.send(go_on))

    def _begin(self, event: h11.Request) -> None:
        self._began = time.monotonic()
        size = len(event.target) + sum(len(n) + len(v) + 4 for n, v in event.headers)
        if size > self._limits.head_bytes:  # h11 lets pass what comes whole
            raise Refusal(431, f"the headers have more than {self._limits.head_bytes} bytes.")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        self._request = request = Request(
            event.method.decode(), event.target.decode(), headers, self._address, self._local
        )
        self._wait(self._limits.body_seconds)
        self._service.admit(request)
        length = headers.get("content-length", "0")
        if len(length) > 18 or int(length) > self._limits.body_bytes:
            raise self._too_long()

    def _take(self, data: bytes) -> None:
        assert self._request is not None
        if len(self._request.body) + len(data) > self._limits.body_bytes:
            raise self._too_long()
        self._pieces += 1
        if self._pieces > PIECES:
            raise Refusal(413, f"the body came in more than {PIECES} pieces. Send larger ones.")
        self._request.body += data

    def _too_long(self) -> Refusal:
        return Refusal(
            413, f"the body has more than {self._limits.body_bytes} bytes. Send less, or let "
            "`tinygpt serve --body-bytes` allow more.", "body_too_long",
        )

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, and hear no more of this client."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._transport.abort()
            return
        extra = (*refusal.headers, ("Connection", "close"))
        for event in self._events(refusal.status, error_body(refusal), JSON, extra):
            self._transport.write(self._http.send(event) or b"")
        if self._request is not None:
            self._service.done(self._request, refusal.status, time.monotonic() - self._began)
        # Closed with bytes unread, the kernel would take the refusal back (a reset).
        self._discard = MORE
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(MORE_SECONDS, self._transport.abort)

    # Answering it.

    async def _answer(self) -> None:
        request = self._request
        assert request is not None
        try:
            await self._service.answer(request, self)
        except (Gone, asyncio.CancelledError):  # the latter by eof_received or connection_lost
            self._status = self._status or 499
            self._transport.abort()
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self._status = 500
            if self._http.our_state is h11.SEND_RESPONSE:
                await self.whole(500, error_body(Refusal(
                    500, "the server failed at this request. Its log says where."
                )))
            else:
                self._transport.abort()
        finally:
            self._task = self._request = None
            self._service.done(request, self._status, time.monotonic() - self._began)
        self._next()

    def _next(self) -> None:
        """Wait for another request, which may be here by now."""
        if self._transport.is_closing():
            return
        again = self._http.our_state is self._http.their_state is h11.DONE
        if not again or self._service.draining:
            self.close()
            return
        self._http.start_next_cycle()
        self._status = self._pieces = 0
        self._wait(self._limits.idle_seconds)
        self._advance()

    async def whole(
        self, status: int, body: bytes, kind: str = JSON, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer all at once.  Raises Gone, as all of these."""
        await self._send(*self._events(status, body, kind, headers))

    async def begin(self, kind: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer in pieces from here on, of which the last is b""."""
        self._status = 200
        await self._send(_head(200, None, kind, [*headers, *self._extra]))

    async def piece(self, data: bytes) -> None:
        await self._send(h11.Data(data=data) if data else h11.EndOfMessage())

    async def _send(self, *events: Any) -> None:
        """Write, and wait until the client has taken most of it; leave one that does not."""
        if self._transport.is_closing():
            raise Gone
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))
        if not self._taking.is_set():
            try:
                await asyncio.wait_for(self._taking.wait(), self._limits.stall_seconds)
            except asyncio.TimeoutError:
                raise Gone from None

    def _events(
        self, status: int, body: bytes, kind: str, headers: Sequence[tuple[str, str]]
    ) -> list[Any]:
        self._status = status
        head = self._request is not None and self._request.method == "HEAD"
        data = [] if head else [h11.Data(data=body)]
        lines = [*headers, *self._extra]
        return [_head(status, len(body), kind, lines), *data, h11.EndOfMessage()]

    @property
    def _extra(self) -> tuple[tuple[str, str], ...]:
        return () if self._request is None else self._request.extra


def _head(
    status: int, length: int | None, kind: str, headers: Sequence[tuple[str, str]]
) -> h11.Response:
    lines = [("Date", formatdate(usegmt=True)), ("Content-Type", kind), *HEADERS]
    if length is not None:
        lines.append(("Content-Length", str(length)))
    names = {name for name, _ in headers}
    if "Cache-Control" not in names:
        lines.append(("Cache-Control", "no-store"))
    reason = HTTPStatus(status).phrase.encode()
    return h11.Response(status_code=status, headers=[*lines, *headers], reason=reason)


def _host(address: Any) -> str:
    """Of a socket's address (host, port, ...); "" for what has none."""
    return str(address[0]) if isinstance(address, tuple) else ""


def _bound_kernel_buffer(transport: asyncio.Transport) -> None:
    """The kernel would let its own buffer for a slow reader grow to megabytes."""
    import socket

    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # the client is gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WRITE_BUFFER)
