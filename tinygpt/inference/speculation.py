"""Several tokens for one reading of the weights: guess them, score all guesses in one pass.

A step is as long as the weights take to be read, and a pass over four tokens reads them once. So a
draft (drafts.py) guesses three, and one pass scores what follows the last token and each guess:

    text ... the cat      guessed: sat on a      one pass: scores after cat, sat, on, a

The caller draws from the scores after `cat` as ever. If that is `sat`, the scores after `sat` are
there already and its step costs nothing; if not, what was computed from `sat` on is left in the
cache beyond its length, where nobody looks, and will be overwritten.

**Exact.** Every token is drawn from the scores that a plain step would have given it, with the same
random number. So the text is the very one that would have been written without: at temperature 0
and at any other, with any filter, after a good guess or a bad one. (Leviathan et al. 2023 accept a
guess from a distribution q with probability p / q, which keeps the distribution only, not the
text.) In C the scores are the same to the bit, however many tokens a pass has; on the other
backends a sum may be rounded otherwise, and two tokens that are equally likely to seven digits may
change places.

**Only where it pays.** A pass over four tokens is not free: its arithmetic grows. Whether guesses
are worth it depends on the model, the machine and the text, so it is measured while writing (Pace).
A model that fits the caches is never drafted for.

Read first: decoder.py.
"""

from __future__ import annotations

import time

import numpy as np

from minigrad.ops.decode import NO_TOKEN, Network, decode_step
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.drafts import Draft
from tinygpt.model import LanguageModel

GUESSES = 3  # with the token before them four rows, which share a register (c/panel.h)
LEAST_BYTES = 32e6  # of weights; fewer lie in a cache, where four tokens cost four times one


class Pace:
    """Seconds a token with guesses and without, as measured; guesses are for when they are fewer.

    Sums fade, so that the latest few dozen tokens decide. After a loss plain steps follow, twice as
    many each time, before guesses are tried again.
    """

    FADING, FIRST, PAUSE, LONGEST_PAUSE = 0.95, 4, 32, 1024  # the last three in tokens

    def __init__(self) -> None:
        self._plain, self._drafted = [0.0, 0.0], [0.0, 0.0]  # seconds, tokens
        self._wait, self._pause = self.FIRST, self.PAUSE

    def tries(self) -> bool:
        """Whether the next pass should have guesses."""
        return self._wait == 0

    def stepped(self, seconds: float) -> None:
        """A plain step has taken so long."""
        self._add(self._plain, seconds, 1)
        self._wait = max(self._wait - 1, 0)

    def passed(self, seconds: float, tokens: int) -> None:
        """A pass with guesses has taken so long, for so many tokens of the text."""
        self._add(self._drafted, seconds, tokens)
        if self._rate(self._drafted) > self._rate(self._plain):
            self._drafted = [0.0, 0.0]
            self._wait, self._pause = self._pause, min(2 * self._pause, self.LONGEST_PAUSE)
        else:
            self._pause = self.PAUSE

    def _add(self, sums: list[float], seconds: float, tokens: int) -> None:
        sums[:] = self.FADING * sums[0] + seconds, self.FADING * sums[1] + tokens

    def _rate(self, sums: list[float]) -> float:
        return sums[0] / sums[1] if sums[1] else np.inf


class Always(Pace):
    """Guess whenever there is a guess."""

    def tries(self) -> bool:
        return True


class Counts:
    """What became of the guesses."""

    def __init__(self) -> None:
        self.tokens = self.passes = self.guessed = self.accepted = 0

    def __str__(self) -> str:
        if not self.guessed:
            return "guessed nothing"
        return (
            f"{self.accepted} of {self.guessed} guesses were right, {self.tokens} tokens took "
            f"{self.passes} readings of the weights"
        )


class SpeculatingDecoder(Decoder):
    """A Decoder of one text whose steps are often answered beforehand."""

    def __init__(
        self, model: LanguageModel, draft: Draft, pace: Pace | None = None, kv: str = "float32"
    ):
        super().__init__(model, kv=kv)
        self.draft, self.counts = draft, Counts()
        self._pace = Pace() if pace is None else pace
        self._ahead: list[tuple[int, np.ndarray]] = []  # guesses left, and the scores after each
        self._open: tuple[float, int] | None = None  # the last pass: seconds, tokens so far

    def clear(self) -> None:
        """As Decoder."""
        self._forget()
        super().clear()

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """As Decoder."""
        self._forget()
        return super().feed(ids)

    def step(self, ids: np.ndarray) -> np.ndarray:
        """As Decoder, one sequence."""
        self.counts.tokens += 1
        if self._ahead and self._ahead[0][0] == int(ids[0]):
            _, scores = self._ahead.pop(0)
            self.counts.accepted += 1
            self._open = self._open[0], self._open[1] + 1  # type: ignore[index]
            self._advance(ids)
            return scores
        self._forget()
        self.counts.passes += 1
        start = time.perf_counter()
        guesses = self._guesses(ids)
        logits = self._pass(ids, guesses) if guesses else super().step(ids)
        seconds = time.perf_counter() - start
        if guesses:
            self._open = seconds, 1
        else:
            self._pace.stepped(seconds)
        return logits

    def _guesses(self, ids: np.ndarray) -> list[int]:
        tokens, cache = self._held
        room = min(self.context, self.model.shape.sight) - cache.length - 1
        unread = cache.length < self.model.before
        if room < 1 or unread or self._network is None or not self._pace.tries():
            return []
        return self.draft.guess(np.append(tokens[0], ids), min(GUESSES, room))

    def _pass(self, ids: np.ndarray, guesses: list[int]) -> np.ndarray:
        """Scores after one more token; those after each guess are put aside."""
        tokens, cache = self._held
        cache, count = cache.ahead(1 + len(guesses)), 1 + len(guesses)
        row = np.append(ids, guesses)
        first = [NO_TOKEN] if cache.last is None else cache.last
        logits = decode_step(
            row, self._network, cache.keys, cache.values,  # type: ignore[arg-type]
            cache.length + np.arange(count), np.zeros(count, dtype=np.int64),
            before=np.append(first, row[:-1]),
        )
        self._held = tokens, cache  # its arrays may be new ones; it is as long as it was
        self._advance(ids)
        self._ahead = [(token, logits[i : i + 1]) for i, token in enumerate(guesses, 1)]
        self.counts.guessed += len(guesses)
        return logits[:1]

    def _advance(self, ids: np.ndarray) -> None:
        """Count a token whose keys are in the cache."""
        tokens, cache = self._held
        cache = cache.ahead(1)
        cache.advance(1, ids)
        self._hold(tokens, cache, ids[:, None])

    def _forget(self) -> None:
        """The guesses that are left were wrong."""
        if self._open is not None:
            self._pace.passed(*self._open)
        self._ahead, self._open = [], None


def worth_drafting(network: Network | None) -> bool:
    """Whether a step may be bound by reading the weights."""
    if network is None:
        return False
    arrays = [network.output, *(part for layer in network.layers for part in vars(layer).values())]
    known = (array for array in arrays if array is not None and not isinstance(array, tuple))
    return sum(array.nbytes for array in known) >= LEAST_BYTES  # what stands beside is thin


def decoder_for(model: LanguageModel, draft: Draft | None, kv: str = "float32") -> Decoder:
    """A decoder of one text that guesses by `draft` where that may pay.  kv: as Decoder's."""
    plain = Decoder(model, kv=kv)
    if draft is None or not worth_drafting(plain._network):
        return plain
    return SpeculatingDecoder(model, draft, kv=kv)
