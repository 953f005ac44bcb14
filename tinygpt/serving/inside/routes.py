"""The addresses under /look: each asks for one screen's numbers.

A look is one pass of the model or two, made in the computing thread between two steps of
everybody's answers.

Read next: page/look.js.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinygpt.serving.inside.asked import ASKED, WHOM
from tinygpt.serving.inside.looks import LOOKS
from tinygpt.serving.inside.models import Models, folder_of, run_of, steps_in
from tinygpt.serving.inside.runs import Trainings, Watched
from tinygpt.serving.inside.source import source
from tinygpt.serving.limits import Limits, Places
from tinygpt.serving.parameters import TEXT, read, wrong
from tinygpt.serving.protocol import Connection, Request, as_json
from tinygpt.serving.schemas import Schema
from tinygpt.serving.security import Refusal
from tinygpt.serving.served import Served
from tinygpt.serving.worker import Worker

Handler = Callable[[Request, Connection], Awaitable[None]]
EVERY = 0.5  # seconds between two looks at a run's files
QUIET = 15.0  # seconds without news after which a stream says that it lives
TRAINED: Schema = {"type": "object", "additionalProperties": False, "properties": {**WHOM}}
SHOWN: Schema = {"type": "object", "required": ["name"], "additionalProperties": False,
                 "properties": {"name": TEXT}}


class Inside:
    """The routes of the screens.

    find: the model of a request (Api.model_of).  control: whether trainings may be started and
    stopped from a page.
    """

    def __init__(
        self, find: Callable[[dict[str, Any]], Served], limits: Limits, worker: Worker,
        places: Places, control: bool = False,
    ):
        self._find, self._limits, self._worker = find, limits, worker
        self._places, self._control = places, control
        self._models, self._trainings = Models(), Trainings()

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path -> method -> what answers."""
        found: dict[str, dict[str, Handler]] = {
            f"/look/{name}": {"POST": partial(self._look, name)} for name in LOOKS
        }
        found["/look/source"] = {"POST": self._source}
        found["/look/training"] = {"POST": self._watch}
        found["/look/training/resume"] = {"POST": self._resume}
        found["/look/training/stop"] = {"POST": self._stop}
        return found

    def end(self) -> None:
        """Stop the trainings that were started here."""
        self._trainings.end()

    async def _look(self, name: str, request: Request, reply: Connection) -> None:
        asked = read(request.body, ASKED[name])
        served = self._find(asked)
        texts = [asked.get("text", ""), asked.get("written", ""),
                 *(message["content"] for message in asked.get("messages", ()))]
        if sum(map(len, texts)) > self._limits.characters:
            raise wrong("text", f"has more than {self._limits.characters} characters. Send less",
                        "string_above_max_length")
        with self._places.taken(request.address, 1):
            began = time.perf_counter()
            found = await self._worker.call(partial(self._made, name, served, asked))
            found["seconds"] = time.perf_counter() - began
        await reply.whole(200, as_json(found))

    def _made(self, name: str, served: Served, asked: dict[str, Any]) -> dict[str, Any]:
        """In the computing thread."""
        model = self._models.at(served, asked.get("step"))
        found = LOOKS[name](model, served, asked)
        if name == "model":
            run = run_of(served)
            found |= {"name": served.name, "run": run is not None,
                      "steps": steps_in(run.path) if run else [],
                      "control": self._control and run is not None}
        return found

    async def _source(self, request: Request, reply: Connection) -> None:
        await reply.whole(200, as_json(source(read(request.body, SHOWN)["name"])))

    async def _watch(self, request: Request, reply: Connection) -> None:
        """A run's news as they come, until the reader goes."""
        folder = folder_of(self._find(read(request.body, TRAINED)))
        watched = Watched(folder, partial(self._trainings.running, folder))
        loop, said = asyncio.get_running_loop(), time.monotonic()
        with self._places.taken(request.address, 0):
            await reply.begin("text/event-stream; charset=utf-8", [("X-Accel-Buffering", "no")])
            while True:
                news = await loop.run_in_executor(None, watched.news)
                for event, value in news:
                    text = f"data: {json.dumps({'event': event, 'value': value})}\n\n"
                    await reply.piece(text.encode())
                if news:
                    said = time.monotonic()
                elif time.monotonic() - said > QUIET:
                    await reply.piece(b": ping\n\n")
                    said = time.monotonic()
                await asyncio.sleep(EVERY)

    async def _resume(self, request: Request, reply: Connection) -> None:
        self._trainings.resume(self._steered(request))
        await reply.whole(200, as_json({}))

    async def _stop(self, request: Request, reply: Connection) -> None:
        self._trainings.stop(self._steered(request))
        await reply.whole(200, as_json({}))

    def _steered(self, request: Request) -> Path:
        """The folder of a training that a page may start and stop."""
        if not self._control:
            raise Refusal(
                403, "trainings are not started and stopped from here. `tinygpt serve RUN --train` "
                "allows it.", "not_allowed",
            )
        return folder_of(self._find(read(request.body, TRAINED)))
