"""A conversation: one growing text that the reader and the model write in turns.

A base model has learned to go on with a text, and that is all it is asked for. A model that was
taught to answer has seen who speaks marked by special tokens, and is asked in the same form:

    <|user|> What is a cat? <|end|> <|assistant|> An animal. <|end|> <|user|> ...

Every BPE vocabulary of ours has a place for these tokens, so having them does not mean that the
model has learned them: `roles` is the caller's to say. A model from elsewhere brings a template of
its own (templates.py). What the reader types never becomes a special token.

The keys and values of all that was said stay in the decoder's cache, so an answer costs only its
own tokens and those of the question, however long the conversation is. What no longer fits the
context is forgotten, oldest first (decoder.py).

Read next: decoder.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import until_stop
from tinygpt.inference.prompt import end_ids, knows, opening_ids, stop_texts
from tinygpt.inference.sampling import Sampling, sample
from tinygpt.inference.templates import Dialogue
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer.base import Tokenizer, stream


class Conversation:
    """A model, what was said, and how answers are drawn.

    stop: texts that end an answer.  sampling and max_tokens may be changed between turns.
    roles: mark who speaks, for a model that was taught so.  Raises TokenizerError if the tokenizer
        lacks the tokens.
    form: how a model from elsewhere is spoken to, which says more than `roles`.
    decoder: one of the model's, with nothing read; None makes one.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        *,
        sampling: Sampling,
        max_tokens: int = 200,
        stop: str | Sequence[str] = ("\n\n",),
        roles: bool = False,
        form: ChatForm | None = None,
        rng: np.random.Generator | None = None,
        decoder: Decoder | None = None,
    ):
        self.tokenizer, self.sampling, self.max_tokens = tokenizer, sampling, max_tokens
        names = ("<|user|>", "<|end|>", "<|assistant|>")
        self._roles = [tokenizer.special_id(name) for name in names] if roles else None
        self._answer = 0  # where the last answer begins
        self._ids: list[int] = []  # all that was said
        self._read = 0  # how much of it the decoder has taken in; 0 while it is at work
        self._rng = np.random.default_rng(0) if rng is None else rng
        self._set_form(form)
        self.use(model, form, stop, decoder)

    def use(
        self, model: LanguageModel, form: ChatForm | None, stop: str | Sequence[str],
        decoder: Decoder | None = None,
    ) -> None:
        """Let another model of the same tokenizer go on, which reads all that was said; where it
        is spoken to in another form, the conversation begins anew."""
        self.stop = stop_texts(stop)
        if form != self._form:
            self._set_form(form)
            self.reset()
        self._decoder, self._read = Decoder(model) if decoder is None else decoder, 0

    def _set_form(self, form: ChatForm | None) -> None:
        self._form, self._dialogue = form, None
        if form is not None and form.template is not None:
            self._dialogue = Dialogue(form, self.tokenizer)
        self._opening = opening_ids(self.tokenizer, form)
        self._ends = end_ids(self.tokenizer, form)

    @property
    def text(self) -> str:
        """All that was said."""
        return self.tokenizer.decode(self._ids)

    def reset(self) -> None:
        """Forget what was said."""
        self._ids, self._read = [], 0
        if self._dialogue is not None:
            self._dialogue.reset()

    def say(self, text: str) -> Iterator[str]:
        """Add `text` to the conversation and yield the model's answer, piece by piece.

        An answer that was cut off is ended first, by <|end|> or the first of `stop` (by nothing
        where the model does not know that text).
        What is said must hold at least one token.  Abandoning the iterator keeps the part of the
        answer that was drawn, and so does Ctrl-C at any moment.
        """
        logits = self._feed(self._asked(text))
        self._answer = len(self._ids)
        yield from until_stop(stream(self.tokenizer, self._tokens(logits)), self.stop)

    def _asked(self, text: str) -> list[int]:
        """The ids of what is said, marked as the model was taught."""
        if self._dialogue is not None:
            answer = self.tokenizer.decode(self._ids[self._answer :])
            ids, goes_on = self._dialogue.ask(text, answer)
            if not goes_on:
                self._ids, self._read = [], 0
            return ids
        end = self.stop[0] if self.stop and knows(self.tokenizer, self.stop[0]) else ""
        if self._ids and not self._roles and not self.text.endswith(end):
            text = end + text
        ids = self.tokenizer.encode(text, disallowed_special=())
        if self._roles:
            user, over, assistant = self._roles
            return [over] * bool(self._ids) + [user, *ids, over, assistant]
        return ids if self._ids else [*self._opening, *ids]

    def _tokens(self, logits: np.ndarray) -> Iterator[int]:
        for _ in range(self.max_tokens):
            drawn = self._ids[self._answer :]
            token = int(sample(logits, self.sampling, self._rng, [self._ids], [drawn])[0])
            if token in self._ends:
                return
            self._ids.append(token)
            yield token
            self._read = 0
            logits = self._decoder.step(np.array([token]))
            self._read = len(self._ids)

    def _feed(self, ids: list[int]) -> np.ndarray:
        """Take in what was said; of what does not fit only the last half of the context is kept,
        or where it slides the last context."""
        self._ids += ids
        read, self._read = self._read, 0
        if read == 0:  # nothing was said yet, or an interrupt left the decoder at any place
            self._decoder.clear()
        unread, decoder = self._ids[read:], self._decoder
        if len(unread) > decoder.room:
            decoder.clear()
            kept = decoder.context if decoder.slides else decoder.context // 2
            keep = max(len(unread) if read else len(ids), kept)
            unread = self._ids[-min(keep, decoder.context) :]
        logits = self._decoder.feed(np.array([unread], dtype=np.int64))
        self._read = len(self._ids)
        return logits
