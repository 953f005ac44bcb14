"""A conversation: one growing text that the reader and the model write in turns.

The keys and values of all that was said stay in the decoder's cache, so an answer costs only its
own tokens and those of the question, however long the conversation is.

Read next: decoder.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import until_stop
from tinygpt.inference.sampling import Sampling, sample
from tinygpt.model import GPT
from tinygpt.tokenizer.base import Tokenizer, stream


class Conversation:
    """A model, what was said, and how answers are drawn.

    stop: texts that end an answer.  sampling and max_tokens may be changed between turns.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        *,
        sampling: Sampling,
        max_tokens: int = 200,
        stop: Sequence[str] = ("\n\n",),
        rng: np.random.Generator | None = None,
    ):
        self.tokenizer, self.sampling, self.max_tokens = tokenizer, sampling, max_tokens
        self.stop = stop
        self.text = ""
        self._ids: list[int] = []
        self._decoder = Decoder(model)
        self._rng = np.random.default_rng(0) if rng is None else rng

    def reset(self) -> None:
        """Forget what was said."""
        self.text, self._ids = "", []
        self._decoder.clear()

    def say(self, text: str) -> Iterator[str]:
        """Add `text` to the conversation and yield the model's answer, piece by piece.

        What is said must hold at least one token.  Abandoning the iterator (Ctrl-C) keeps the
        part of the answer that was drawn.
        """
        self.text += text
        logits = self._feed(self.tokenizer.encode(text))
        for piece in until_stop(stream(self.tokenizer, self._tokens(logits)), self.stop):
            self.text += piece
            yield piece

    def _tokens(self, logits: np.ndarray) -> Iterator[int]:
        ends = set(self.tokenizer.special_tokens.values())
        for _ in range(self.max_tokens):
            token = int(sample(logits, self.sampling, self._rng, [np.array(self._ids)])[0])
            if token in ends:
                return
            yield token
            self._ids.append(token)
            logits = self._decoder.step(np.array([token]))

    def _feed(self, ids: list[int]) -> np.ndarray:
        """Take in what was said; if it does not fit, only the last half of the context is kept."""
        self._ids += ids
        room = self._decoder.context - self._decoder.length
        if len(ids) > room:
            self._decoder.clear()
            keep = max(len(ids), self._decoder.context // 2)
            ids = self._ids[-min(keep, self._decoder.context) :]
        return self._decoder.feed(np.array([ids], dtype=np.int64))
