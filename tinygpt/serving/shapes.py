"""Answers in OpenAI's shapes: of completions and of a conversation, whole and in pieces.

Two things are easy to get wrong. A log probability of minus infinity is not JSON, so it is clipped.
And alternatives of completions are keyed by the *text* of a token, which two tokens may share (all
halves of characters look alike), so each is given a name of its own.

Read next: api.py.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np

from tinygpt.serving.asked import Scored
from tinygpt.serving.writing import Piece, Written
from tinygpt.tokenizer import Tokenizer

LEAST = -9999.0  # nats; stands for minus infinity
Json = dict[str, Any]


def as_base64(array: np.ndarray) -> str:
    """The values as little-endian float32, one after the other."""
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """A token's text, its bytes where they are half a character."""
    raw = tokenizer.decode_bytes([token])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _nats(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST)


@dataclass
class Usage:
    """Tokens read, of those in the cache, and drawn."""

    prompt: int = 0
    cached: int = 0
    drawn: int = 0

    def shape(self) -> Json:
        return {
            "prompt_tokens": self.prompt, "completion_tokens": self.drawn,
            "total_tokens": self.prompt + self.drawn,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


@dataclass
class Shape:
    """How one request is answered.

    usage: of a stream, whether its pieces have the field at all (null but in the last).
    """

    model: str
    tokenizer: Tokenizer
    logprobs: bool
    usage: bool = False
    id: str = field(default_factory=lambda: f"{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    prefix = ""
    objects = ("", "")  # whole, in pieces

    def whole(self, choices: Sequence[Json], usage: Usage) -> Json:
        """The answer all at once."""
        return {**self._head(0), "choices": list(choices), "usage": usage.shape()}

    def chunk(self, choices: Sequence[Json], usage: Usage | None = None) -> Json:
        """One event of a stream; the last has no choices, and the usage."""
        found = {**self._head(1), "choices": list(choices)}
        if self.usage:
            found["usage"] = None if usage is None else usage.shape()
        return found

    def _head(self, kind: int) -> Json:
        return {"id": f"{self.prefix}{self.id}", "object": self.objects[kind],
                "created": self.created, "model": self.model}

    def choice(self, index: int, piece: Piece, reason: str | None) -> Json:
        """All of an answer."""
        raise NotImplementedError

    def opening(self, index: int) -> list[Json]:
        """Choices of a stream's first event, none where it begins with text."""
        return []

    def part(self, index: int, piece: Piece) -> Json:
        """A piece of an answer."""
        raise NotImplementedError

    def end(self, index: int, reason: str) -> Json:
        """The last event of an answer."""
        raise NotImplementedError


class Completion(Shape):
    """/v1/completions: choices of text."""

    prefix, objects = "cmpl-", ("text_completion", "text_completion")

    def choice(self, index: int, piece: Piece, reason: str | None) -> Json:
        return {"index": index, "text": piece.text, "logprobs": self._scores(piece.tokens),
                "finish_reason": reason}

    def part(self, index: int, piece: Piece) -> Json:
        return self.choice(index, piece, None)

    def end(self, index: int, reason: str) -> Json:
        return {"index": index, "text": "", "logprobs": None, "finish_reason": reason}

    def _scores(self, tokens: Sequence[Written]) -> Json | None:
        if not self.logprobs:
            return None
        return {
            "tokens": [token_text(self.tokenizer, one.scored.token) for one in tokens],
            "token_logprobs": [_nats(one.scored.logprob) for one in tokens],
            "top_logprobs": [self._likeliest(one.scored) for one in tokens],
            "text_offset": [one.start for one in tokens],
        }

    def _likeliest(self, scored: Scored) -> Json | None:
        """Text -> log probability of the likeliest tokens, and of the one that stands there."""
        if scored.logprob is None:
            return None
        found: Json = {}
        for token, logprob in dict([*scored.top, (scored.token, scored.logprob)]).items():
            name = token_text(self.tokenizer, token)
            found[name if name not in found else f"token_id:{token}"] = _nats(logprob)
        return found


class Chat(Shape):
    """/v1/chat/completions: choices of messages."""

    prefix, objects = "chatcmpl-", ("chat.completion", "chat.completion.chunk")

    def choice(self, index: int, piece: Piece, reason: str | None) -> Json:
        message = {"role": "assistant", "content": piece.text, "refusal": None}
        return {"index": index, "message": message, "logprobs": self._scores(piece.tokens),
                "finish_reason": reason}

    def opening(self, index: int) -> list[Json]:
        return [self._delta(index, {"role": "assistant", "content": ""})]

    def part(self, index: int, piece: Piece) -> Json:
        return self._delta(index, {"content": piece.text}, self._scores(piece.tokens))

    def end(self, index: int, reason: str) -> Json:
        return self._delta(index, {}, None, reason)

    @staticmethod
    def _delta(
        index: int, delta: Json, logprobs: Json | None = None, reason: str | None = None
    ) -> Json:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    def _scores(self, tokens: Sequence[Written]) -> Json | None:
        if not self.logprobs:
            return None
        return {"refusal": None, "content": [
            {**self._named(one.scored.token, one.scored.logprob),
             "top_logprobs": [self._named(*pair) for pair in one.scored.top]}
            for one in tokens
        ]}

    def _named(self, token: int, logprob: float | None) -> Json:
        return {"id": token, "token": token_text(self.tokenizer, token),
                "logprob": _nats(logprob), "bytes": list(self.tokenizer.decode_bytes([token]))}
