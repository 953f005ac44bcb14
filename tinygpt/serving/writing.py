"""From an answer's tokens to its text: never half a character, and nothing from a stop text on.

A stop text is looked for in the text, not among tokens: it may begin within one and end within
another. What may be its beginning is held back until more has come. A token goes with the text in
which it begins, so that the list of tokens ends where the text ends.

Read next: worker.py.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinygpt.inference.generate import overlap
from tinygpt.serving.asked import Scored
from tinygpt.tokenizer import Tokenizer


class Written(NamedTuple):
    """A token and where it begins, in characters of the text with what was echoed."""

    scored: Scored
    start: int


@dataclass
class Piece:
    """Text that can be shown, and the tokens that begin in it."""

    text: str = ""
    tokens: tuple[Written, ...] = ()

    def __add__(self, other: Piece) -> Piece:
        return Piece(self.text + other.text, self.tokens + other.tokens)


class Writing:
    """The text of one answer as it comes.

    stop: texts that end it.  ends: ids that end it, listed among its tokens and no text of it.
    listed: whether its pieces have their tokens; without, text is made of many at once.
    drawn: tokens so far, those of a stop text too.  stopped: whether a stop text was found.
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: Sequence[str] = (), ends: Collection[int] = (),
        listed: bool = True,
    ):
        self._listed = listed
        self._tokenizer, self._stop, self._ends = tokenizer, tuple(stop), ends
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._done = 0  # characters that were taken
        self._held, self._tokens = "", list[Written]()
        self._own = 0  # where the answer's own text begins: a stop text in the prompt is none
        self.drawn, self.stopped = 0, False
        self._cut = False  # whether text was taken away: then none is left unfinished

    def echo(self, prompt: Sequence[Scored], hidden: int = 0) -> None:
        """The prompt before the answer; the text of its first `hidden` tokens is not shown."""
        for i, scored in enumerate(prompt):
            self._add(scored, shown=i >= hidden)
        self._own = self._done + len(self._held)

    @property
    def watched(self) -> bool:
        """Whether any token of the answer may end it, so that each is to be looked at at once."""
        return bool(self._stop or self._ends)

    def extend(self, answer: deque[Scored]) -> None:
        """Take the answer's next tokens away, up to the one that ends it."""
        if self._listed or self.watched:
            while answer and not self.stopped:
                self.push(answer.popleft())
            return
        tokens = [scored.token for scored in answer]
        answer.clear()
        self.drawn += len(tokens)
        self._held += self._utf8.decode(self._tokenizer.decode_bytes(tokens))

    def push(self, scored: Scored) -> None:
        """One more token of the answer."""
        self.drawn += 1
        self.stopped = scored.token in self._ends
        self._add(scored, shown=not self.stopped)
        if self._stop and not self.stopped:
            self._look()

    def take(self, over: bool) -> Piece:
        """What can be shown by now; all that is left where the answer is over."""
        if over and not self._cut:
            self._held += self._utf8.decode(b"", final=True)
        keep = 0 if over else max((overlap(self._held, text) for text in self._stop), default=0)
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(shown) :]
        self._done += len(shown)
        count = next((i for i, one in enumerate(self._tokens) if one.start >= self._done), None)
        count = len(self._tokens) if over or count is None else count
        tokens, self._tokens = self._tokens[:count], self._tokens[count:]
        return Piece(shown, tuple(tokens))

    def _add(self, scored: Scored, shown: bool = True) -> None:
        if self._listed:
            self._tokens.append(Written(scored, self._done + len(self._held)))
        if shown:
            self._held += self._utf8.decode(self._tokenizer.decode_bytes([scored.token]))

    def _look(self) -> None:
        begin = max(self._own - self._done, 0)
        found = [at for at in (self._held.find(text, begin) for text in self._stop) if at >= 0]
        if not found:
            return
        self.stopped = self._cut = True
        self._held = self._held[: min(found)]
        end = self._done + len(self._held)
        self._tokens = [one for one in self._tokens if one.start < end]
