"""An engine that answers one request after another: what a batch must not differ from.

Read next: worker.py.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from tinygpt.inference.decoder import Decoder
from tinygpt.inference.sampling import sample
from tinygpt.inference.scoring import log_probabilities
from tinygpt.model import LanguageModel
from tinygpt.serving.asked import Answer, Asked, Scored


class Engine:
    """Steps one token at a time, of the oldest request."""

    def __init__(self, model: LanguageModel, slots: int = 1, chunk: int = 0):
        self._model, self._decoder = model, Decoder(model)
        self.context, self.slots = model.shape.context, 1
        self._queue: deque[Answer] = deque()
        self._now: Answer | None = None

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> int:
        return int(self._now is not None)

    def add(self, asked: Asked) -> Answer:
        answer = Answer(asked)
        self._queue.append(answer)
        return answer

    def step(self) -> bool:
        for answer in [a for a in self._queue if a.cancelled]:
            answer.reason = "cancelled"
            self._queue.remove(answer)
        if self._now is None:
            if not self._queue:
                return False
            self._begin(self._queue.popleft())
            return True
        answer = self._now
        if answer.cancelled:
            answer.reason, self._now = "cancelled", None
        else:
            self._draw(answer)
        return True

    def _begin(self, answer: Answer) -> None:
        self._now, asked = answer, answer.asked
        self._ids, self._drawn = list(asked.prompt), list[int]()
        self._rng = np.random.default_rng(asked.seed)
        if asked.echo:
            scores = log_probabilities(self._model, np.array([asked.prompt]))
            rows = [None, *scores[:-1]]
            answer.echoed = [
                Scored(token) if row is None or asked.logprobs is None
                else _scored(row, token, asked.logprobs)
                for row, token in zip(rows, asked.prompt, strict=True)
            ]
        self._decoder.clear()
        self._logits = self._decoder.feed(np.array([asked.prompt]))
        if asked.max_tokens == 0:
            answer.reason, self._now = "length", None

    def _draw(self, answer: Answer) -> None:
        asked, logits = answer.asked, self._logits.copy()
        for token, by in asked.bias.items():
            logits[0, token] += by
        token = int(sample(logits, asked.sampling, self._rng, [self._ids], [self._drawn])[0])
        if token in asked.stop:
            answer.reason, self._now = "stop", None
            return
        scored = Scored(token)
        if asked.logprobs is not None:
            row = self._logits[0] - self._logits[0].max()
            scored = _scored(row - np.log(np.exp(row).sum()), token, asked.logprobs)
        self._ids.append(token)
        self._drawn.append(token)
        answer.drawn.append(scored)
        if len(self._drawn) == asked.max_tokens or len(self._ids) > self.context:
            answer.reason, self._now = "length", None
            return
        self._logits = self._decoder.step(np.array([token]))


def _scored(row: np.ndarray, token: int, count: int) -> Scored:
    top = np.argsort(-row, kind="stable")[:count]
    return Scored(token, float(row[token]), tuple((int(i), float(row[i])) for i in top))
