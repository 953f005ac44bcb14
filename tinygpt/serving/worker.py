"""The thread that computes: it owns the models, and everybody's answers advance in it together.

    asyncio's thread            this thread
    worker.start(stream)   ->   engine.add, engine.step, engine.step, ...
    stream.take()          <-   text of what was drawn, gathered for 25 ms
    stream.cancel()        ->   the place is free before the next step

A token of a small model takes a quarter of a millisecond, and a message to the other thread costs a
good part of that, so what is drawn is gathered; the first piece of an answer and its end are not
waited for. Text is made here, because a stop text ends an answer: found any later, tokens would be
drawn that nobody sees. Where none can be found, text too is made of what was gathered.

Read next: engine.py.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tinygpt.errors import UserError
from tinygpt.serving.asked import Answer, Asked, Reason
from tinygpt.serving.metrics import Metrics
from tinygpt.serving.served import Served
from tinygpt.serving.writing import Piece, Writing

GATHER = 0.025  # seconds
T = TypeVar("T")


class Stream:
    """One answer on its way to a client.

    reused: of the prompt's tokens, those that a cache had.  drawn: tokens of the answer.
    reason: why it ended, None while it goes on.  news: set when there is something to take; the
        answers of one request share it.  hidden: tokens that open the prompt and are no text of it.
    """

    def __init__(
        self, served: Served, asked: Asked, writing: Writing, news: asyncio.Event, hidden: int
    ):
        self.served, self.asked, self.writing = served, asked, writing
        self.news, self._hidden = news, hidden
        self.answer: Answer | None = None
        self.reason: Reason | None = None
        self.cancelled = False
        self.unread = 0  # tokens and alternatives that the client has not taken
        self._last_at, self._counted = time.monotonic(), 0  # of tokens: when, and how many
        self._ready: deque[Piece] = deque()
        self._echoed = False

    @property
    def drawn(self) -> int:
        return self.writing.drawn

    @property
    def reused(self) -> int:
        return self.answer.reused if self.answer is not None else 0

    def cancel(self) -> None:
        """Nobody waits for it any more.  From any thread."""
        self.cancelled = True
        if self.answer is not None:
            self.answer.cancelled = True

    def take(self) -> tuple[Piece, Reason | None]:
        """What came since the last time, and why the answer is over, None while it goes on."""
        reason = self.reason  # before the pieces: none come after it
        piece = Piece()
        while self._ready:
            piece += self._ready.popleft()
        self.unread = 0
        return piece, reason

    def count(self, now: float, metrics: Metrics) -> bool:
        """Note what was drawn.  In the computing thread.  Returns whether that cannot wait."""
        answer = self.answer
        assert answer is not None
        drawn = self.writing.drawn + len(answer.drawn)
        if drawn == self._counted:
            return answer.reason is not None
        first = not self._counted
        (metrics.first if first else metrics.gaps).observe(now - self._last_at)
        metrics.drawn.add(drawn - self._counted)
        self._counted, self._last_at = drawn, now
        return first or self.writing.watched or answer.reason is not None

    def read(self) -> bool:
        """Make text of what was drawn.  In the computing thread.  Returns whether there is any."""
        answer, writing = self.answer, self.writing
        assert answer is not None
        reason = answer.reason  # before its tokens are looked for: none come after it
        if not answer.drawn and reason is None:
            return False
        if answer.echoed is not None and not self._echoed:
            self._echoed = True
            writing.echo(answer.echoed, self._hidden)
        self.unread += sum(1 + len(scored.top) for scored in answer.drawn)
        writing.extend(answer.drawn)
        if writing.stopped:
            answer.cancelled, reason = True, "stop"
        piece = writing.take(over=reason is not None)
        if piece.text or piece.tokens:
            self._ready.append(piece)
        self.reason = reason
        return True


class Worker:
    """The thread, its inbox, and the streams that are under way in it.

    unread: what may wait for a slow reader (limits.py).
    """

    def __init__(self, served: Iterable[Served], metrics: Metrics, unread: int):
        self._served, self._metrics, self._unread = list(served), metrics, unread
        self._inbox: deque[Callable[[], object]] = deque()
        self._knock = threading.Event()
        self._streams: list[Stream] = []
        self._loop = asyncio.get_running_loop()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self, stream: Stream) -> None:
        """Begin an answer."""
        self._give(lambda: self._begin(stream))

    async def call(self, function: Callable[[], T]) -> T:
        """What a function returns that needs a model; between two steps of everybody's answers."""
        done: asyncio.Future[T] = self._loop.create_future()

        def settle(set_: Callable[[Any], None], value: Any) -> None:
            if not done.done():  # whoever asked may have gone
                set_(value)

        def run() -> None:
            try:
                value = function()
            except Exception as error:
                self._loop.call_soon_threadsafe(settle, done.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(settle, done.set_result, value)

        self._give(run)
        return await done

    def end(self) -> None:
        """Stop the thread after the step that it is in, and wait for that."""
        self._ending = True
        self._knock.set()
        self._thread.join()

    def _give(self, job: Callable[[], object]) -> None:
        self._inbox.append(job)
        self._knock.set()

    # In the thread.

    def _run(self) -> None:
        due = 0.0
        while not self._ending:
            if not self._streams and not self._inbox:
                self._knock.wait()
            self._knock.clear()
            while self._inbox:
                self._inbox.popleft()()
            self._step()
            now = time.monotonic()
            if self._read(now, now >= due):
                due = now + GATHER

    def _begin(self, stream: Stream) -> None:
        if stream.cancelled:  # it was told so before there was an answer to tell
            return
        assert stream.served.engine is not None
        try:
            stream.answer = stream.served.engine.add(stream.asked)
        except UserError as error:
            stream.answer = Answer(stream.asked, reason="failed", error=error)
        if stream.cancelled:  # between the last two lines
            stream.answer.cancelled = True
        self._streams.append(stream)

    def _step(self) -> None:
        for served in self._served:
            try:
                if served.engine is not None:
                    served.engine.step()
            except Exception:  # the others' models go on, and so does this one, anew
                traceback.print_exc(file=sys.stderr)
                for stream in self._streams:
                    if stream.served is served and stream.answer is not None:
                        stream.answer.reason = "failed"
                served.renew()

    def _read(self, now: float, due: bool) -> bool:
        """Text of what was drawn, where it is due or cannot wait.  Returns whether any was due."""
        fresh, over = [], False
        for stream in self._streams:
            if (stream.count(now, self._metrics) or due) and stream.read():
                fresh.append(stream)
                over |= stream.reason is not None
                if stream.unread > self._unread:
                    stream.cancel()
        if fresh:
            self._loop.call_soon_threadsafe(_wake, fresh)
        if over:
            self._streams = [stream for stream in self._streams if stream.reason is None]
        return due and bool(fresh)


def _wake(streams: list[Stream]) -> None:
    for stream in streams:
        stream.news.set()
