"""OpenAI's API: a request's parameters in, an answer in its shape out, streamed or not.

Read next: shapes.py.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

from tinygpt.inference.sampling import Sampling
from tinygpt.serving import parameters
from tinygpt.serving.asked import Asked, Scored
from tinygpt.serving.limits import Limits, Places
from tinygpt.serving.metrics import Metrics
from tinygpt.serving.parameters import read, wrong
from tinygpt.serving.protocol import Connection, Request, as_json, error_body
from tinygpt.serving.security import Refusal
from tinygpt.serving.served import Served
from tinygpt.serving.shapes import Chat, Completion, Shape, Usage, as_base64
from tinygpt.serving.worker import Stream, Worker
from tinygpt.serving.writing import Piece, Writing
from tinygpt.structured import Constraint, FormError

PING = 15.0  # seconds without a token after which a stream says that it lives
T = TypeVar("T")


class Api:
    """The routes that ask something of a model."""

    def __init__(
        self, served: dict[str, Served], limits: Limits, worker: Worker, places: Places,
        metrics: Metrics,
    ):
        self._served, self._limits, self._worker = served, limits, worker
        self._places, self._metrics = places, metrics
        self._since = int(time.time())
        # A long text takes its time to become tokens, in which nobody else is to wait.
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="text")

    async def models(self, request: Request, reply: Connection) -> None:
        data = [self._described(one) for one in self._served.values()]
        await reply.whole(200, as_json({"object": "list", "data": data}))

    async def model(self, request: Request, reply: Connection) -> None:
        one = self.model_of({"model": unquote(request.path).removeprefix("/v1/models/")})
        await reply.whole(200, as_json(self._described(one)))

    async def completions(self, request: Request, reply: Connection) -> None:
        asked = read(request.body, parameters.COMPLETION)
        served = self._writer(asked)
        prompts = _listed(asked["prompt"])
        self._check_length(prompts, "prompt")
        shape = Completion(served.name, served.tokenizer, "logprobs" in asked)
        with self._places.taken(request.address, self._count(len(prompts) * asked["n"])):
            ids = await self._in_text_thread(
                lambda: [self._ids(served, one, "prompt") for one in prompts]
            )
            form = await self._form(served, asked)
            hidden = len(served.opening) if isinstance(prompts[0], str) else 0
            streams = self._streams(served, asked, ids, asked["max_tokens"], (), hidden, form)
            await self._check_form(form, streams)
            await self._answer(reply, asked, shape, streams)

    async def chat(self, request: Request, reply: Connection) -> None:
        asked = read(request.body, parameters.CHAT)
        served = self._writer(asked)
        messages = [_message(one) for one in asked["messages"]]
        self._check_length([one["content"] for one in messages], "messages")
        if "top_logprobs" in asked and not asked["logprobs"]:
            raise wrong("top_logprobs", "is asked for without logprobs: true")
        shape = Chat(served.name, served.tokenizer, asked["logprobs"])
        asked["logprobs"] = asked.get("top_logprobs", 0) if asked["logprobs"] else None
        asked["echo"] = False
        with self._places.taken(request.address, self._count(asked["n"])):
            ids = await self._in_text_thread(lambda: served.ids_of_messages(messages))
            form, begin = await self._form(served, asked), asked.get("begin", [])
            self._check_begin(served, begin, form)
            stops = served.stops() if form is None else ()
            longest = asked.get("max_completion_tokens", asked.get("max_tokens", served.context))
            streams = self._streams(served, asked, [ids + begin], longest, stops, 0, form)
            for stream in streams:
                stream.writing.echo([Scored(token) for token in begin])
            await self._check_form(form, streams)
            await self._answer(reply, asked, shape, streams)

    async def embeddings(self, request: Request, reply: Connection) -> None:
        asked = read(request.body, parameters.EMBEDDINGS)
        served = self.model_of(asked)
        if not served.embeds:
            raise wrong("model", f"{served.name} turns one text into another and makes no vectors. "
                        "Ask /look of it")
        sources = _listed(asked["input"])
        self._check_length(sources, "input")
        packed = asked["encoding_format"] == "base64"
        data, count = [], 0
        with self._places.taken(request.address, self._count(len(sources))):
            for index, source in enumerate(sources):
                ids = await self._in_text_thread(partial(self._ids, served, source, "input"))
                self._check_context(served, ids, "input")
                count += len(ids)
                vector = await self._worker.call(partial(served.embed, source))
                data.append({"object": "embedding", "index": index,
                             "embedding": as_base64(vector) if packed else vector.tolist()})
        usage = {"prompt_tokens": count, "total_tokens": count}
        await reply.whole(200, as_json(
            {"object": "list", "data": data, "model": served.name, "usage": usage}
        ))

    async def tokenize(self, request: Request, reply: Connection) -> None:
        """A text's ids. Here alone the name of a special token in it is that token: whoever
        prepares ids for /v1/completions (lm-evaluation-harness) asks so for the end of a text."""
        asked = read(request.body, parameters.TOKENIZE)
        served, text = self.model_of(asked), asked["prompt"]
        self._check_length([text], "prompt")
        ids = await self._in_text_thread(
            lambda: served.tokenizer.encode(text, allowed_special="all")
        )
        if asked["add_special_tokens"]:
            ids = [*served.opening, *ids]
        await reply.whole(200, as_json(
            {"tokens": ids, "count": len(ids), "max_model_len": served.context}
        ))

    async def detokenize(self, request: Request, reply: Connection) -> None:
        asked = read(request.body, parameters.DETOKENIZE)
        served, ids = self.model_of(asked), asked["tokens"]
        self._check_ids(served, ids, "tokens")
        text = await self._in_text_thread(lambda: served.tokenizer.decode(ids))
        await reply.whole(200, as_json({"prompt": text}))

    async def tokenizer_info(self, request: Request, reply: Connection) -> None:
        served = self.model_of({})
        form = served.form
        await reply.whole(200, as_json({
            "tokenizer_class": type(served.tokenizer).__name__,
            "vocab_size": served.tokenizer.vocab_size, "model_max_length": served.context,
            "eos_token": served.end_text, "bos_token": form.bos if form else None,
            "pad_token": served.end_text, "chat_template": form.template if form else None,
        }))

    # What all of them do.

    def _described(self, served: Served) -> dict[str, Any]:
        return {"id": served.name, "object": "model", "created": self._since,
                "owned_by": "tinygpt", "max_model_len": served.context,
                "answers": served.taught, "writes": served.writes}

    def model_of(self, asked: dict[str, Any]) -> Served:
        """The model that a request names; without a name the only one.  Raises Refusal."""
        name = asked.get("model")
        if name is None and len(self._served) > 1:
            raise wrong("model", f"is missing. There are: {', '.join(self._served)}", "missing")
        found = next(iter(self._served.values())) if name is None else self._served.get(name)
        if found is None:
            raise Refusal(
                404, f"there is no model {str(name)[:100]!r} here. There are: "
                f"{', '.join(self._served)}.", "model_not_found", "model",
            )
        return found

    def _writer(self, asked: dict[str, Any]) -> Served:
        served = self.model_of(asked)
        if not served.writes:
            does, ask = ("makes vectors of texts", "/v1/embeddings") if served.embeds else (
                "turns one text into another", "/look")
            raise wrong("model", f"{served.name} {does} and goes on with none. Ask {ask} of it")
        return served

    def _check_length(self, texts: Sequence[Any], param: str) -> None:
        count = sum(len(text) for text in texts)
        if count > self._limits.characters:
            raise wrong(
                param, f"has {count} characters, and may have {self._limits.characters}. Send "
                "less", "string_above_max_length",
            )

    def _count(self, answers: int) -> int:
        if answers > self._limits.choices:
            raise wrong("n", f"times the prompts is {answers} answers, and may be "
                        f"{self._limits.choices}. Ask for fewer at once")
        return answers

    async def _in_text_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._texts, function)

    def _ids(self, served: Served, source: str | list[int], param: str) -> list[int]:
        if not isinstance(source, str):
            self._check_ids(served, source, param)
            return source
        return served.ids_of(source)

    @staticmethod
    def _check_ids(served: Served, ids: Sequence[int], param: str) -> None:
        size = served.tokenizer.vocab_size
        if unknown := [one for one in ids if one >= size]:
            raise wrong(param, f"has the id {unknown[0]}, and {served.name} knows {size}: 0 to "
                        f"{size - 1}")

    def _check_begin(
        self, served: Served, begin: Sequence[int], form: Constraint | None
    ) -> None:
        """Refuse a beginning of an answer that cannot be gone on from."""
        self._check_ids(served, begin, "begin")
        if begin and form is not None:
            raise wrong("begin", "may break the response_format. Leave one out")

    @staticmethod
    def _check_context(served: Served, ids: Sequence[int], param: str, more: int = 0) -> None:
        if len(ids) + more > served.context:
            raise wrong(
                param, f"is {len(ids)} tokens long, and the context of {served.name} is "
                f"{served.context}, the answer included. Shorten it (for lm_eval: "
                f"max_length={served.context})", "context_length_exceeded",
            )

    def _streams(
        self, served: Served, asked: dict[str, Any], prompts: Sequence[list[int]], longest: int,
        stops: Sequence[str], hidden: int, form: Constraint | None,
    ) -> list[Stream]:
        """An answer to each prompt, n of them to each, not begun yet."""
        for ids in prompts:
            param = "messages" if "messages" in asked else "prompt"
            if not ids:
                raise wrong(param, "says nothing. Give at least one character to go on from")
            self._check_context(served, ids, param, more=min(longest, 1))
        if "stream_options" in asked and not asked["stream"]:
            raise wrong("stream_options", "is given without stream: true")
        given = asked["stop"]
        stops = [*(text for text in _listed(given) if text), *(() if given else stops)]
        seed = asked.get("seed", secrets.randbits(32)) & (2**64 - 1)
        sampling, bias = _sampling(asked), self._bias(served, asked["logit_bias"])
        news, echo = asyncio.Event(), asked["echo"]
        # Whoever asks for echo counts on a token for each that it allowed: an end is one of them.
        seen = echo and form is None
        ends, seen_ends = (frozenset[int](), served.ends) if seen else (served.ends, frozenset())
        listed = asked.get("logprobs") is not None
        return [
            Stream(served, Asked(
                tuple(ids), longest, sampling, (seed + k) & (2**64 - 1), ends,
                asked.get("logprobs"), echo, bias, form,
            ), Writing(served.tokenizer, stops, seen_ends, listed), news, hidden)
            for ids in prompts for k in range(asked["n"])
        ]

    async def _form(self, served: Served, asked: dict[str, Any]) -> Constraint | None:
        form = await self._in_text_thread(partial(served.forms.of, asked["response_format"]))
        if form is not None and any(_listed(asked["stop"])):
            raise wrong("stop", "could cut an answer out of its response_format. Leave one out")
        return form

    async def _check_form(self, form: Constraint | None, streams: list[Stream]) -> None:
        """Refuse what no answer of so few tokens can be."""
        if form is None:
            return
        asked = streams[0].asked
        left = min(asked.max_tokens, streams[0].served.context - len(asked.prompt))
        try:
            await self._worker.call(partial(form.check, left))
        except FormError as error:
            raise wrong("max_tokens", f"is too small: {str(error).removesuffix('.')}") from error

    @staticmethod
    def _bias(served: Served, given: dict[str, float]) -> dict[int, float]:
        size = served.tokenizer.vocab_size
        for key in given:
            if not (key.isascii() and key.isdigit() and len(key) <= 12 and int(key) < size
                    and key == str(int(key))):
                raise wrong("logit_bias", f"has {key[:40]!r}, which is no token id below {size}")
        return {int(key): float(value) for key, value in given.items()}

    # Answering.

    async def _answer(
        self, reply: Connection, asked: dict[str, Any], shape: Shape, streams: list[Stream]
    ) -> None:
        for stream in streams:
            self._metrics.prompt.add(len(stream.asked.prompt))
            self._worker.start(stream)
        try:
            if asked["stream"]:
                shape.usage = asked.get("stream_options", {}).get("include_usage", False)
                await self._in_pieces(reply, shape, streams, asked["n"])
            else:
                await self._whole(reply, shape, streams, asked["n"])
        finally:  # also where the client is gone
            for stream in streams:
                stream.cancel()
            self._metrics.reused.add(sum(stream.reused for stream in streams))

    @staticmethod
    async def _whole(reply: Connection, shape: Shape, streams: list[Stream], n: int) -> None:
        pieces = [Piece() for _ in streams]
        reasons = dict.fromkeys(range(len(streams)), "")
        while not all(reasons.values()):
            await _news(streams[0].news)
            for index, stream in enumerate(streams):
                piece, reason = stream.take()
                pieces[index] += piece
                reasons[index] = reason or ""
        for index, stream in enumerate(streams):
            if reasons[index] in ("failed", "cancelled"):
                raise _failed(stream)
        choices = [shape.choice(i, piece, reasons[i]) for i, piece in enumerate(pieces)]
        await reply.whole(200, as_json(shape.whole(choices, _usage(streams, n))))

    @staticmethod
    async def _in_pieces(reply: Connection, shape: Shape, streams: list[Stream], n: int) -> None:
        await reply.begin("text/event-stream; charset=utf-8", [("X-Accel-Buffering", "no")])
        for index in range(len(streams)):
            for choice in shape.opening(index):
                await reply.piece(_event(shape.chunk([choice])))
        under_way, news = dict(enumerate(streams)), streams[0].news
        while under_way:
            await _news(news, PING)
            events = []
            for index, stream in list(under_way.items()):
                piece, reason = stream.take()
                if piece.text or piece.tokens:
                    events.append(_event(shape.chunk([shape.part(index, piece)])))
                if reason in ("failed", "cancelled"):
                    failed = error_body(_failed(stream))
                    await reply.piece(b"".join(events) + b"data: " + failed)
                    await reply.piece(b"\n\n")
                    await reply.piece(b"")
                    return
                if reason is not None:
                    events.append(_event(shape.chunk([shape.end(index, reason)])))
                    del under_way[index]
            await reply.piece(b"".join(events) or b": ping\n\n")
        last = _event(shape.chunk([], _usage(streams, n))) if shape.usage else b""
        await reply.piece(last + b"data: [DONE]\n\n")
        await reply.piece(b"")


async def _news(event: asyncio.Event, seconds: float = 1e6) -> None:
    """Wait until an event is set, or so long, and clear it. (wait_for would begin a task.)"""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
    event.clear()


def _event(value: Any) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"


def _failed(stream: Stream) -> Refusal:
    error = stream.answer.error if stream.answer is not None else None
    if isinstance(error, FormError):  # one that only writing could find too large
        return wrong("response_format", f"cannot be kept to: {str(error).removesuffix('.')}")
    said = str(error or "the model failed at this answer. The server's log says why.")
    return Refusal(500, said)


def _usage(streams: Sequence[Stream], n: int) -> Usage:
    """Of n answers to one prompt that is read once in all but name."""
    return Usage(
        sum(len(stream.asked.prompt) for stream in streams[::n]),
        sum(stream.reused for stream in streams[::n]),
        sum(stream.drawn for stream in streams),
    )


def _listed(value: Any) -> list[Any]:
    """One or several prompts, texts or ids each, as a list."""
    one = isinstance(value, str) or (value and not isinstance(value[0], (str, list)))
    return [value] if one else list(value)


def _message(given: dict[str, Any]) -> dict[str, str]:
    content = given["content"]
    if not isinstance(content, str):
        content = "".join(part["text"] for part in content)
    role = "system" if given["role"] == "developer" else given["role"]
    return {"role": role, "content": content}


def _sampling(asked: dict[str, Any]) -> Sampling:
    names = ("top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
    given = {name: asked[name] for name in names if name in asked}
    if "top_p" in asked:  # 0 keeps the likeliest alone
        given["top_p"] = asked["top_p"] or 1e-9
    return Sampling(temperature=asked["temperature"], **given)
