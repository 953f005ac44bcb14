"""One request to a model, and what comes of it.

Text is the business of api.py: here are ids in and ids out.

Read next: engine.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tinygpt.errors import UserError
from tinygpt.inference.sampling import Sampling
from tinygpt.structured import Constraint

Reason = Literal["stop", "length", "cancelled", "failed"]


@dataclass(frozen=True)
class Asked:
    """What is to go on, and how.

    prompt: ids, at least one.  stop: ids that end the answer, and are not part of it.
    seed: of the generator that this request alone draws from.
    logprobs: of each token of the answer its log probability and those of so many likeliest
        ones; None: none of it.  echo: of each token of the prompt too.
    bias: added to the logits of these ids before anything is drawn (not to what is reported).
    form: what the answer is held to, whose ends are `stop`; it is whole also where `max_tokens`
        cuts it.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: frozenset[int] = frozenset()
    logprobs: int | None = None
    echo: bool = False
    bias: Mapping[int, float] = field(default_factory=dict)
    form: Constraint | None = None


class Scored(NamedTuple):
    """A token and what the model thought of it, before temperature and filters, in nats.

    logprob: None where it was not asked for, and of the first token of a prompt.
    top: the likeliest ids with theirs, likeliest first, equal ones by id.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass
class Answer:
    """A request under way. The engine appends, whoever asked takes away.

    echoed: the prompt's tokens, where they were asked for, once all are read.
    drawn: tokens that nobody took yet.  reason: why it ended; None: it goes on.  error: what went
        wrong, where that is "failed".
    reused: tokens of the prompt that a cache had.  cancelled: set by whoever asked, from any
        thread; the place is free before the next step.
    """

    asked: Asked
    echoed: list[Scored] | None = None
    drawn: deque[Scored] = field(default_factory=deque)
    reason: Reason | None = None
    error: UserError | None = None
    reused: int = 0
    cancelled: bool = False
