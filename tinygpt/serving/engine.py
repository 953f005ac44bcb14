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

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from minigrad.ops.decode import NO_TOKEN, decode_step
from tinygpt.errors import UserError
from tinygpt.inference.network import network_of
from tinygpt.inference.sampling import sample
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
    scored: list[Scored] = field(default_factory=list)  # the prompt's tokens, where asked for
    state: int = Constraint.start  # of its form

    @property
    def asked(self) -> Asked:
        return self.answer.asked

    @property
    def read(self) -> int:
        """How many of its ids have keys and values."""
        return len(self.held)


class Engine:
    """A model, and the answers that it is writing.

    slots: answers at once; who comes later waits.  context: tokens of a text, at most the model's.
    piece: tokens of prompts in a step while nobody writes.  beside: and while somebody does, which
        is what they wait for.
    reuse: whether a prompt's beginning may come from a text that was served before.
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
        self._slots = Slots(model.shape, slots, self.context)
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
        rows = self._compose()
        if not rows:
            return bool(self._texts)
        rows.sort(key=lambda row: not row[2])  # those whose logits are wanted first
        texts = [text for text, _, _ in rows]
        positions = np.array([position for _, position, _ in rows])
        logits = decode_step(
            np.array([text.ids[at] for text, at, _ in rows]), self._network,
            self._slots.keys, self._slots.values, positions,
            np.array([text.slot for text in texts]), sum(wanted for _, _, wanted in rows),
            np.array([text.ids[at - 1] if at else NO_TOKEN for text, at, _ in rows]),
        )
        for text, count in Counter(texts).items():
            text.held += text.ids[text.read : text.read + count]
        for i, row in enumerate(logits):
            self._hear(texts[i], int(positions[i]), row)
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
            answer.reused = len(held)
            self._texts.append(_Text(answer, slot, held, list(asked.prompt), rng))

    def _compose(self) -> list[tuple[_Text, int, bool]]:
        """The tokens of one step: text, position, whether its logits are wanted."""
        rows: list[tuple[_Text, int, bool]] = []
        writing = [text for text in self._texts if text.read == len(text.ids) - 1]
        rows += [(text, text.read, True) for text in writing]
        left = self._beside if writing else self._piece
        for text in self._texts:
            if text not in writing and left > 0:
                last = len(text.ids) - 1
                end = min(text.read + left, last + 1)
                for at in range(text.read, end):
                    rows.append((text, at, at == last or text.asked.echo))
                left -= end - text.read
        return rows

    def _hear(self, text: _Text, position: int, logits: np.ndarray) -> None:
        """What the model thinks follows a text's token at a position."""
        asked = text.asked
        if asked.echo and position < len(asked.prompt):
            self._echo(text, position, logits)
        if position != len(text.ids) - 1:
            return
        if self._left(text) == 0:  # the prompt alone was asked for
            self._end(text, "length")
            return
        try:
            weighed = self._weigh(text, logits)
            drawn = text.ids[len(asked.prompt) :]
            token = int(sample(weighed[None], asked.sampling, text.rng, [text.ids], [drawn])[0])
        except UserError as error:
            text.answer.error = error
            self._end(text, "failed")
            return
        if token in asked.stop:
            self._end(text, "stop")
            return
        text.answer.drawn.append(scored(logits, token, asked.logprobs))
        text.ids.append(token)
        if asked.form is not None:
            text.state = asked.form.advance(text.state, token)
        if self._left(text) == 0:
            self._end(text, "length")

    def _left(self, text: _Text) -> int:
        """Tokens that a text may still grow by."""
        most = len(text.asked.prompt) + text.asked.max_tokens
        return min(most, self.context) - len(text.ids)

    def _weigh(self, text: _Text, logits: np.ndarray) -> np.ndarray:
        """Logits (V,) as the request wants them: biased, and -inf where the form does not fit."""
        asked = text.asked
        if asked.bias:
            logits = logits.copy()
            logits[list(asked.bias)] += np.array(list(asked.bias.values()), np.float32)
        if asked.form is not None:
            fits = asked.form.allowed(text.state, self._left(text))
            logits = np.where(fits[: len(logits)], logits, np.float32(-np.inf))
        return logits

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
