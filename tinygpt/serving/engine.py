"""Many answers at once: one pass of the model for all of them, a token each.

Reading the weights is what a token costs, and eight texts can share one reading. So the engine does
not answer one request after another: each `step` is one pass (kernels/numpy_ref/decode.py) over

- one token of every answer under way, and
- a *piece* of the prompts that are still to be read, so that a long one stalls nobody.

Requests join and leave between any two steps (continuous batching: Yu et al. 2022, "Orca"; prompts
in pieces: Agrawal et al. 2023, "SARATHI").

**An answer does not depend on its company.** Not on who else is served, nor on the size of pieces,
nor on what a cache had. Each request has a generator and a sampling of its own, and each token's
logits are, in C to the bit, those that it would get alone. So what a step holds may be decided by
speed.

One thread uses an Engine; `Answer.cancelled` may be set from any.

Read next: slots.py, ../inference/sampling.py.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from minigrad.ops.decode import NO_TOKEN, decode_step
from tinygpt.errors import UserError
from tinygpt.inference.network import network_of
from tinygpt.inference.sampling import BROKEN, finite, sample_each
from tinygpt.model import LanguageModel
from tinygpt.serving.asked import Answer, Asked, Reason, Scored
from tinygpt.serving.slots import Slots
from tinygpt.structured import Constraint


@dataclass(eq=False)
class _Text:
    """An answer under way."""

    answer: Answer
    slot: int
    held: list[int]  # what the slot holds: the beginning of `ids`
    ids: list[int]  # the prompt and what was drawn
    rng: np.random.Generator
    most: int  # tokens that `ids` may become
    scored: list[Scored] = field(default_factory=list)  # the prompt's tokens, where asked for
    state: int = Constraint.start  # of its form

    @property
    def asked(self) -> Asked:
        return self.answer.asked

    @property
    def read(self) -> int:
        """How many of its ids have keys and values."""
        return len(self.held)

    @property
    def left(self) -> int:
        """Tokens that it may still grow by."""
        return self.most - len(self.ids)

    def wants(self, position: int) -> bool:
        """Whether it wants to know what the model thinks follows its token there."""
        return position == len(self.ids) - 1 or self.asked.echo


class Engine:
    """A model, and the answers that it is writing.

    slots: answers at once; who comes later waits.  context: tokens of a text, at most the model's.
    piece: tokens of prompts in a step while nobody writes.  beside: and while somebody does, which
        is what they wait for.
    reuse: whether a prompt's beginning may come from a text that was served before.
    kv: what keys and values are kept in (../model/cache.py).
    Raises UserError for a model that the decode kernel does not know.
    """

    def __init__(
        self,
        model: LanguageModel,
        slots: int = 8,
        context: int | None = None,
        piece: int = 64,
        beside: int = 16,
        reuse: bool = True,
        kv: str = "float32",
    ):
        model.check_writes()
        network = network_of(model)
        if network is None:
            raise UserError(
                f"a {type(model).__name__} cannot be served: only a decoder of known parts can "
                "read several texts at once. Use `tinygpt generate` or `translate`."
            )
        if model.before:
            raise UserError(
                "a prefix or a prompt stands before every text, where an engine begins to read. "
                "Use `tinygpt generate` or `chat`; lora, dora, qlora and ia3 can be served."
            )
        self.context = min(context or model.shape.context, model.shape.context)
        self.model, self._network = model, network
        self._slots = Slots(model.shape, slots, self.context, kv)
        self._piece, self._beside, self._reuse = piece, beside, reuse
        self._waiting: deque[Answer] = deque()
        self._texts: list[_Text] = []

    @property
    def waiting(self) -> int:
        """Answers that have no slot yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Answers that have one."""
        return len(self._texts)

    def check(self, asked: Asked) -> None:
        """Raise UserError for a request that cannot be answered."""
        length, vocabulary = len(asked.prompt), self._network.output.shape[0]
        if not asked.prompt:
            raise UserError("the prompt is empty. Give at least one token to go on from.")
        if length + bool(asked.max_tokens) > self.context:
            raise UserError(
                f"the prompt is {length} tokens long, the model's context {self.context}. "
                "Shorten it."
            )
        if asked.form is not None:
            asked.form.check(min(asked.max_tokens, self.context - length))
        outside = [i for i in (*asked.prompt, *asked.bias) if not 0 <= i < vocabulary]
        if outside:
            raise UserError(
                f"the token {outside[0]} is none of the model's {vocabulary}. Ask /tokenize."
            )

    def add(self, asked: Asked) -> Answer:
        """Queue a request.  Raises UserError as `check`."""
        self.check(asked)
        answer = Answer(asked)
        self._waiting.append(answer)
        return answer

    def step(self) -> bool:
        """One pass of the model for everybody; False if nobody is there."""
        self._forget_cancelled()
        self._admit()
        spans = self._compose()
        if not spans:
            return bool(self._texts)
        rows = [(text, at) for text, begin, end in spans for at in range(begin, end)]
        wanted = sum(text.wants(at) for text, at in rows)
        if wanted < len(rows):  # those whose logits are wanted come first
            rows.sort(key=lambda row: not row[0].wants(row[1]))
        logits = decode_step(
            np.array([text.ids[at] for text, at in rows]), self._network,
            self._slots.keys, self._slots.values, np.array([at for _, at in rows]),
            np.array([text.slot for text, _ in rows]), wanted,
            np.array([text.ids[at - 1] if at else NO_TOKEN for text, at in rows]),
        )
        for text, begin, end in spans:
            text.held += text.ids[begin:end]
        self._hear(rows[:wanted], logits)
        return True

    def _forget_cancelled(self) -> None:
        for answer in [answer for answer in self._waiting if answer.cancelled]:
            self._waiting.remove(answer)
            answer.reason = "cancelled"
        for text in [text for text in self._texts if text.answer.cancelled]:
            self._end(text, "cancelled")

    def _admit(self) -> None:
        """Give free slots to who waits, in order."""
        while self._waiting and self._slots.free:
            answer = self._waiting.popleft()
            asked = answer.asked
            slot = self._slots.take(asked.prompt, self._reuse and not asked.echo)
            held, rng = self._slots.ids[slot], np.random.default_rng(asked.seed)
            most = min(len(asked.prompt) + asked.max_tokens, self.context)
            answer.reused = len(held)
            self._texts.append(_Text(answer, slot, held, list(asked.prompt), rng, most))

    def _compose(self) -> list[tuple[_Text, int, int]]:
        """What one step reads: texts, and from where to where."""
        spans = [(text, text.read, text.read + 1) for text in self._texts
                 if text.read == len(text.ids) - 1]
        left = self._beside if spans else self._piece
        if len(spans) == len(self._texts):
            return spans
        for text in self._texts:
            begin, end = text.read, min(text.read + left, len(text.ids))
            if begin < len(text.ids) - 1 and begin < end:
                spans.append((text, begin, end))
                left -= end - begin
        return spans

    def _hear(self, rows: list[tuple[_Text, int]], logits: np.ndarray) -> None:
        """What the model thinks follows some texts' tokens: logits (B, V)."""
        for (text, at), row in zip(rows, logits, strict=True):
            if text.asked.echo and at < len(text.asked.prompt):
                self._echo(text, at, row)
        ends = [i for i, (text, at) in enumerate(rows) if at == len(text.ids) - 1]
        for text in [rows[i][0] for i in ends if not rows[i][0].left]:
            self._end(text, "length")  # the prompt alone was asked for
        ends = [i for i in ends if rows[i][0].left]
        if ends:
            some = logits if len(ends) == len(rows) else logits[ends]
            self._go_on([rows[i][0] for i in ends], some)

    def _go_on(self, texts: list[_Text], logits: np.ndarray) -> None:
        """Draw the next token of each text, in its own way, from logits (B, V)."""
        weighed = self._weigh(texts, logits)
        fine = [i for i, text in enumerate(texts) if text.answer.error is None]
        if len(fine) < len(texts):
            for text in texts:
                if text.answer.error is not None:
                    self._end(text, "failed")
            texts, logits, weighed = [texts[i] for i in fine], logits[fine], weighed[fine]
        samplings = [text.asked.sampling for text in texts]
        drawn = [text.ids[len(text.asked.prompt) :] if one.counts_drawn else ()
                 for text, one in zip(texts, samplings, strict=True)]
        tokens = sample_each(
            weighed, samplings, [text.rng for text in texts], [text.ids for text in texts], drawn
        )
        for text, token, row in zip(texts, tokens.tolist(), logits, strict=True):
            self._take(text, token, row)

    def _weigh(self, texts: list[_Text], logits: np.ndarray) -> np.ndarray:
        """Logits (B, V) as the requests want them: biased, and -inf where a form does not fit.

        The same array where nobody wants that. Whoever cannot go on is given an error.
        """
        weighed = logits
        for i, text in enumerate(texts):
            asked = text.asked
            if not asked.bias and asked.form is None:
                continue
            weighed = logits.copy() if weighed is logits else weighed
            if asked.bias:
                weighed[i, list(asked.bias)] += np.array(list(asked.bias.values()), np.float32)
            if asked.form is not None:
                try:
                    fits = asked.form.allowed(text.state, text.left)
                except UserError as error:
                    text.answer.error = error
                else:
                    weighed[i, ~fits[: weighed.shape[1]]] = -np.inf
        for text, is_fine in zip(texts, finite(weighed), strict=True):
            if not is_fine:
                text.answer.error = text.answer.error or UserError(BROKEN)
        return weighed

    def _take(self, text: _Text, token: int, logits: np.ndarray) -> None:
        """One more token, drawn from logits (V,)."""
        asked = text.asked
        if token in asked.stop:
            self._end(text, "stop")
            return
        text.answer.drawn.append(scored(logits, token, asked.logprobs))
        text.ids.append(token)
        if asked.form is not None:
            text.state = asked.form.advance(text.state, token)
        if not text.left:
            self._end(text, "length")

    def _echo(self, text: _Text, position: int, logits: np.ndarray) -> None:
        """Score the prompt's token behind a position; the first has nothing before it."""
        prompt = text.asked.prompt
        if position == 0:
            text.scored.append(Scored(prompt[0]))
        if position + 1 < len(prompt):
            text.scored.append(scored(logits, prompt[position + 1], text.asked.logprobs))
        else:
            text.answer.echoed = text.scored

    def _end(self, text: _Text, reason: Reason) -> None:
        self._texts.remove(text)
        self._slots.leave(text.slot)
        text.answer.reason = reason


def scored(logits: np.ndarray, token: int, count: int | None) -> Scored:
    """A token with its log probability and the `count` likeliest, from logits (V,)."""
    if count is None:
        return Scored(token)
    x = logits.astype(np.float64)
    x -= x.max()
    x -= np.log(np.exp(x).sum())
    # The likeliest, equal ones by id: partition finds the least of them, and its equals come along.
    least = np.partition(x, -count)[-count] if 0 < count < len(x) else -np.inf
    among = np.flatnonzero(x >= least) if count else np.array([], int)
    best = among[np.lexsort((among, -x[among]))][:count]
    return Scored(token, float(x[token]), tuple((int(i), float(x[i])) for i in best))
