"""A model behind an address: OpenAI's completions with echo and log probabilities.

    subject = Remote("http://127.0.0.1:8000")

Any server that answers echo: true with the log probabilities of the prompt can be evaluated: ours
(`tinygpt serve`), vLLM's, llama.cpp's where it has them. One that leaves them out, or gives 0 for
every token, would have every answer tie, and is refused by name (ggml-org/llama.cpp issue 27174).

A text is asked for with a line end before it, since a server has no log probability of a text's
first token. A key, if the server wants one, is read from TINYGPT_API_KEY.

Read first: subject.py. Read next: ../serving/api.py, the other end.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.subject import Scored, Subject, Surprise, TooLong, cut
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.storage.reading import FormatError, parse_json

BEFORE = "\n"
AT_ONCE = 8  # prompts in a request
SECONDS = 300.0


class ContextError(UserError):
    """A text that the server's model has no room for."""


class Echo(NamedTuple):
    """A prompt's tokens but the first.  starts: (N,) characters; nats: (N,); best: (N,) bool."""

    starts: list[int]
    nats: list[float]
    best: list[bool]


class Server:
    """An OpenAI-compatible server.

    url: with or without /v1.  model: its name there, None for the only or the first one.
    """

    def __init__(self, url: str, model: str | None = None):
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = model or self._first()

    def _first(self) -> str:
        found = self._ask("/v1/models").get("data") or []
        if not found:
            raise UserError(f"{self.url} names no model. Is it an OpenAI-compatible server?")
        return str(found[0]["id"])

    def complete(self, prompts: Sequence[str], **more: Any) -> list[dict[str, Any]]:
        """The choices of /v1/completions, in the prompts' order."""
        body = {"model": self.model, "prompt": list(prompts), "temperature": 0, **more}
        return sorted(self._ask("/v1/completions", body)["choices"], key=lambda one: one["index"])

    def chat(self, text: str, max_tokens: int) -> str:
        """What /v1/chat/completions answers."""
        body = {"model": self.model, "messages": [{"role": "user", "content": text}],
                "temperature": 0, "max_tokens": max_tokens}
        return str(self._ask("/v1/chat/completions", body)["choices"][0]["message"]["content"])

    def _ask(self, route: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("TINYGPT_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + route, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return parse_json(answer.read())
        except urllib.error.HTTPError as error:
            said = _message(error.read())
            kind = ContextError if "context" in said.lower() else UserError
            raise kind(f"{self.url}{route} refuses with {error.code}: {said}") from None
        except (OSError, ValueError) as error:
            if isinstance(error, FormatError):
                raise UserError(f"{self.url}{route} {error}. Is it an OpenAI-compatible server?") \
                    from None
            reason = getattr(error, "reason", error)
            raise UserError(f"cannot reach {self.url}: {reason}. Is the server running?") from None


def _message(content: bytes) -> str:
    try:
        error = parse_json(content)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (FormatError, KeyError, TypeError):
        return content[:200].decode(errors="replace")


class Remote(Subject):
    """The model of a server."""

    def __init__(self, url: str, model: str | None = None):
        self.server = Server(url, model)
        self.name = f"{self.server.url} {self.server.model}"

    def surprise(self, texts: Sequence[str]) -> Iterator[Surprise]:
        for text in texts:
            pieces = list(self._pieces("", text))
            size = len(text.encode())
            nats = np.array([one for _, one in pieces])
            ends = [len(text[:start].encode()) for start, _ in pieces[1:]]
            yield Surprise(nats, np.array([*ends, size][: len(nats)], np.float64))

    def _pieces(self, before: str, text: str, offset: int = 0) -> Iterator[tuple[int, float]]:
        """(where it begins, nats) of each token of a text after another, cut where it must be."""
        if not text:
            return
        try:
            (found,) = self._echoes([BEFORE + before + text])
        except ContextError:
            if before:
                yield from self._pieces(before[len(before) // 2 + 1 :], text, offset)
            elif len(text) < 2:
                raise
            else:
                half = len(text) // 2
                half = text.rfind(" ", 1, half) if text.rfind(" ", 1, half) > 0 else half
                yield from self._pieces("", text[:half], offset)
                yield from self._pieces(text[:half], text[half:], offset + half)
            return
        skip = len(BEFORE) + len(before)
        for start, nats in zip(found.starts, found.nats, strict=True):
            if start >= skip:
                yield offset + start - skip, -nats

    def scores(self, context: str, answers: Sequence[str]) -> list[Scored]:
        prompts = [BEFORE + context + answer for answer in answers]
        try:
            echoes = self._echoes(prompts)
        except ContextError as error:
            raise TooLong(str(error)) from None
        edge = len(BEFORE) + len(context)
        # Where a token lies across the join in one answer, it counts in all of them (subject.py).
        starts = [max([start for start in one.starts if start <= edge], default=0)
                  for one in echoes]
        first = min(starts)
        found = []
        for one in echoes:
            kept = [i for i, start in enumerate(one.starts) if start >= first]
            nats = [one.nats[i] for i in kept]
            found.append(Scored(sum(nats), len(nats), all(one.best[i] for i in kept)))
        return found

    def write(
        self, prompts: Sequence[str], max_tokens: int, stop: Sequence[str] = (),
        sampling: Sampling = GREEDY, seed: int = 0,
    ) -> list[str]:
        found: list[str] = []
        for at in range(0, len(prompts), AT_ONCE):
            choices = self.server.complete(
                prompts[at : at + AT_ONCE], max_tokens=max_tokens,
                temperature=sampling.temperature, seed=seed,
            )
            found += [cut(str(one["text"]), stop) for one in choices]
        return found

    def _echoes(self, prompts: Sequence[str]) -> list[Echo]:
        found: list[Echo] = []
        for at in range(0, len(prompts), AT_ONCE):
            some = prompts[at : at + AT_ONCE]
            choices = self.server.complete(some, echo=True, logprobs=1, max_tokens=1)
            found += [self._echo(one, len(text)) for one, text in zip(choices, some, strict=True)]
        return found

    def _echo(self, choice: dict[str, Any], length: int) -> Echo:
        said = choice.get("logprobs") or {}
        nats, offsets = said.get("token_logprobs") or [], said.get("text_offset") or []
        kept = [i for i, start in enumerate(offsets) if i and start < length]
        if not kept or any(nats[i] is None for i in kept):
            raise UserError(
                f"{self.name} gives no log probabilities of a prompt (echo with logprobs), and "
                "without them nothing can be compared. Serve the model with `tinygpt serve`."
            )
        if all(nats[i] == 0.0 for i in kept) and len(kept) > 1:
            raise UserError(
                f"{self.name} says that every token of a prompt is certain (log probability 0): it "
                "does not compute them. Serve the model with `tinygpt serve`."
            )
        top = said.get("top_logprobs") or [None] * len(offsets)
        best = [bool(top[i]) and nats[i] >= max(top[i].values()) for i in kept]
        return Echo([offsets[i] for i in kept], [float(nats[i]) for i in kept], best)
