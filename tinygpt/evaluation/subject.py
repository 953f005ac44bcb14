"""What is evaluated: whoever can say how likely a text is, and go on with one.

    subject = open_subject("run")                        a run, a file; remote.py: a server
    for found in subject.surprise(["Once upon a time"]): found.nats, found.ends
    subject.scores("2 + 2 =", [" 4", " 5"])              log probabilities of answers
    subject.write(["Once"], max_tokens=20, stop=["."])

Suites know a model by these three questions alone, each asked in text: how a text becomes tokens is
the model's own affair, and what is compared are texts.

**The join.** "2 + 2 =" and " 4" are not always tokenized apart: a vocabulary may have "= 4" as one
token. So context and answer are encoded together, and what all of an item's answers share with the
context alone is the context. A token that lies across the join belongs to the answers: each of them
then carries the same few letters of context, and their scores stay comparable. (Cutting the whole
by the length of the context's own encoding leaves an answer empty there:
EleutherAI/lm-evaluation-harness pull 4055.)

**Shared once.** An item's answers follow one context, and its few-shot examples are the last item's
too: what was read stays in a cache, and only what is new is read (../model/cache.py).

Read first: ../inference/decoder.py. Read next: language_modelling.py, multiple_choice.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.nn import evaluating
from tinygpt.data import open_dataset
from tinygpt.data.batches import padded_rows
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import generate_batch
from tinygpt.inference.prompt import end_ids, opening, opening_ids
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.model import KVCache, LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage.paths import expand, kind
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer
from tinygpt.weights.open import digest, form_of, open_model

TOKENS = 4096  # read in one pass
LOGITS = 1 << 23  # held at once: 32 MB
AT_ONCE = 32  # texts written together
LOOKED_AT = 1_000_000  # tokens of a training text, for one that ends a document
AHEAD = 64  # texts looked at together, so that equally long ones are read side by side


class TooLong(UserError, ValueError):
    """An answer that does not fit the model's context."""


class Surprise(NamedTuple):
    """A text's tokens.  nats: (N,) float64, -log p of each.  ends: (N,) bytes up to its end."""

    nats: np.ndarray
    ends: np.ndarray


class Scored(NamedTuple):
    """An answer after a context.

    nats: its log probability.  tokens: in it.  greedy: each was the likeliest.
    cut: tokens of the context that did not fit and were not read.
    """

    nats: float
    tokens: int
    greedy: bool
    cut: int = 0


class Subject(ABC):
    """A model under evaluation.

    name: as it was given.  identity: a hash that changes with its weights, "" where none is known.
    """

    name: str
    identity: str = ""

    @abstractmethod
    def surprise(self, texts: Sequence[str]) -> Iterator[Surprise]:
        """How each text surprises, in order, from its first token on; windows that overlap by half
        give every token half a context at least.

        Raises UserError for a text that the model cannot read.
        """

    @abstractmethod
    def scores(self, context: str, answers: Sequence[str]) -> list[Scored]:
        """How likely each answer is after the context, of which the end is read if it is too long.

        Raises TooLong for an answer longer than the model's context, UserError for a character that
        the model cannot know.
        """

    @abstractmethod
    def write(
        self, prompts: Sequence[str], max_tokens: int, stop: Sequence[str] = (),
        sampling: Sampling = GREEDY, seed: int = 0,
    ) -> list[str]:
        """How the model goes on with each prompt, up to an end or a text of `stop` that comes after
        something else than white space.

        Raises UserError for a prompt with a character that the model cannot know.
        """


class Local(Subject):
    """A model in this process.

    opening: ids before every text: the end of the one before (or, of a model from elsewhere, what
        its form says; of one that has neither, how a text begins for whoever gives no prompt).
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm | None = None,
        name: str = "model", opening: Sequence[int] | None = None,
    ):
        model.check_writes()
        self.model, self.tokenizer, self.form, self.name = model, tokenizer, form, name
        self.opening = list(_opening(tokenizer, form) if opening is None else opening)
        self.context = model.shape.context - model.before
        self._reader = Decoder(model)
        self._read: tuple[list[int], np.ndarray] = [], np.empty(0)

    @property
    def identity(self) -> str:  # type: ignore[override]
        return digest(self.model)

    def surprise(self, texts: Sequence[str]) -> Iterator[Surprise]:
        for at in range(0, len(texts), AHEAD):
            rows = [self._ids(text) for text in texts[at : at + AHEAD]]
            first = self.opening or _opening(self.tokenizer, self.form)
            nats = self._nats([np.concatenate([first, row]) for row in rows], len(first))
            for text, row, found in zip(texts[at : at + AHEAD], rows, nats, strict=True):
                yield Surprise(found, self._ends(text, row))

    def scores(self, context: str, answers: Sequence[str]) -> list[Scored]:
        head = self._ids(context)
        wholes = [self._ids(context + answer) for answer in answers]
        shared = min(_common(head, whole) for whole in wholes)
        rests = [whole[shared:] for whole in wholes]
        longest = max(map(len, rests))
        if longest > self.context:
            raise TooLong(
                f"an answer is {longest} tokens long, the model's context {self.context}. "
                "Leave it out."
            )
        prefix = [*self.opening, *head[:shared].tolist()] or _opening(self.tokenizer, self.form)
        room = self.context - longest + 1  # the last token of an answer is not read
        cut = max(0, len(prefix) - room)
        return [
            Scored(float(found.sum()), len(found), greedy, cut)
            for found, greedy in self.after(prefix[cut:], rests)
        ]

    def write(
        self, prompts: Sequence[str], max_tokens: int, stop: Sequence[str] = (),
        sampling: Sampling = GREEDY, seed: int = 0,
    ) -> list[str]:
        by_length = defaultdict[int, list[int]](list)
        first = self.opening or ([] if all(prompts) else _opening(self.tokenizer, self.form))
        rows = [np.array([*first, *self._ids(prompt).tolist()]) for prompt in prompts]
        rows = [row[-max(1, self.context - max_tokens) :].astype(np.int64) for row in rows]
        for number, row in enumerate(rows):
            by_length[len(row)].append(number)
        found, rng = [""] * len(prompts), np.random.default_rng(seed)
        for _, numbers in sorted(by_length.items()):
            for at in range(0, len(numbers), AT_ONCE):
                chosen = numbers[at : at + AT_ONCE]
                batch = np.stack([rows[i] for i in chosen])
                written = self._written(batch, max_tokens, stop, sampling, rng)
                for number, text in zip(chosen, written, strict=True):
                    found[number] = text
        return found

    def after(
        self, prefix: list[int], rests: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, bool]]:
        """Of each rest, ids (N,): log p of its tokens (N,), and whether each was the likeliest.

        prefix: ids that they follow; with each rest's but its last they fit the context.
        """
        logits = self._logits_after(prefix)
        begun = [_log_p(logits, np.array([rest[0]])) if len(rest) else None for rest in rests]
        longer = [i for i, rest in enumerate(rests) if len(rest) > 1]
        found = [
            (np.zeros(0), True) if one is None else (one[0], bool(one[1].all())) for one in begun
        ]
        if not longer:
            return found
        batch, _ = padded_rows([rests[i][:-1] for i in longer], 0)
        with evaluating(self.model):
            cache = _copies(self.model, self._reader.cache, len(longer), batch.shape[1])
            hidden = self.model.hidden(batch, cache).data  # (B, T, C)
        for x, i in zip(hidden, longer, strict=True):
            log_p, greedy = self._chosen(x[: len(rests[i]) - 1], rests[i][1:])
            head, first = found[i]
            found[i] = np.concatenate([head, log_p]), first and bool(greedy.all())
        return found

    # How it is done.

    def _ids(self, text: str) -> np.ndarray:
        return np.asarray(self.tokenizer.encode_array(text, disallowed_special=()), np.int64)

    def _ends(self, text: str, ids: np.ndarray) -> np.ndarray:
        """Where each token ends in the text's bytes.

        A tokenizer that normalizes spells its ids in more or fewer bytes than the text has; places
        in between are then shares of the whole.
        """
        lengths = [len(self.tokenizer.decode_bytes([one])) for one in ids.tolist()]
        ends = np.cumsum(lengths, dtype=np.float64)
        size = len(text.encode())
        return ends * (size / ends[-1]) if len(ends) and ends[-1] else ends

    def _nats(self, rows: Sequence[np.ndarray], first: int) -> list[np.ndarray]:
        """-log p of every token of each row but the `first` ones, which open it."""
        half = max(1, self.context // 2)
        windows, found = [], [np.zeros(len(row) - first) for row in rows]
        for number, row in enumerate(rows):
            asked, start = first, 0  # the next token asked for; where the window begins
            while asked < len(row):
                end = min(start + self.context, len(row) - 1)
                windows.append((number, start, end, asked))
                asked, start = end + 1, start + half
        windows.sort(key=lambda one: one[2] - one[1])
        at = 0
        while at < len(windows):
            longest, upto = 0, at
            while upto < len(windows):
                longest = max(longest, windows[upto][2] - windows[upto][1])
                if upto > at and longest * (upto + 1 - at) > TOKENS:
                    break
                upto += 1
            self._read_windows(rows, windows[at:upto], found, first)
            at = upto
        return found

    def _read_windows(
        self, rows: Sequence[np.ndarray], windows: Sequence[tuple[int, int, int, int]],
        found: list[np.ndarray], first: int,
    ) -> None:
        batch, _ = padded_rows([rows[number][start:end] for number, start, end, _ in windows], 0)
        with evaluating(self.model):
            hidden = self.model.hidden(batch).data  # (B, T, C)
        vectors = [
            x[asked - 1 - start : end - start]
            for x, (_, start, end, asked) in zip(hidden, windows, strict=True)
        ]
        targets = [rows[number][asked : end + 1] for number, _, end, asked in windows]
        log_p, _ = self._chosen(np.concatenate(vectors), np.concatenate(targets))
        stops = np.cumsum([len(part) for part in targets])
        for part, (number, _, end, asked) in zip(np.split(log_p, stops), windows, strict=False):
            found[number][asked - first : end + 1 - first] = -part

    def _logits_after(self, prefix: list[int]) -> np.ndarray:
        """(1, V) scores of what follows the prefix, of which is read what was not read before."""
        held, logits = self._read
        if held == prefix:
            return logits
        ids, reader = np.array(prefix, np.int64), self._reader
        reader.rewind_to(ids[:-1])  # at least the last is read, for its scores
        logits = reader.feed(ids[None, reader.length :])
        self._read = prefix, logits
        return logits

    def _chosen(self, x: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(log p, was it the likeliest) of each target (N,) after hidden vectors (N, C)."""
        rows = max(1, LOGITS // self.model.shape.vocab_size)
        parts = []
        with evaluating(self.model):
            for at in range(0, len(x), rows):
                logits = self.model.head(Tensor(x[at : at + rows])).data
                parts.append(_log_p(logits, targets[at : at + rows]))
        return np.concatenate([p for p, _ in parts]), np.concatenate([g for _, g in parts])

    def _written(
        self, batch: np.ndarray, max_tokens: int, stop: Sequence[str], sampling: Sampling,
        rng: np.random.Generator,
    ) -> list[str]:
        ends = end_ids(self.tokenizer, self.form)
        rows: list[list[int]] = [[] for _ in batch]
        texts: list[str | None] = [None] * len(batch)
        steps = generate_batch(
            self.model, batch, max_tokens=min(max_tokens, self.context - 1), sampling=sampling,
            rng=rng,
        )
        for drawn in steps:
            for i, token in enumerate(drawn.tolist()):
                if texts[i] is None:
                    rows[i].append(token)
                    texts[i] = self._ended(rows[i], ends, stop)
            if None not in texts:
                break
        return [
            self.tokenizer.decode(row) if text is None else text
            for row, text in zip(rows, texts, strict=True)
        ]

    def _ended(self, row: list[int], ends: set[int], stop: Sequence[str]) -> str | None:
        """The text of a row that has come to its end, else None."""
        if row[-1] in ends:
            return self.tokenizer.decode(row[:-1])
        if not stop:
            return None
        text = self.tokenizer.decode(row)
        short = cut(text, stop)
        return short if len(short) < len(text) else None


def cut(text: str, stop: Sequence[str]) -> str:
    """A text up to a stop that comes after something: an answer may begin on a new line."""
    begun = len(text) - len(text.lstrip())
    found = [at for at in (text.find(one, begun) for one in stop) if at >= 0]
    return text[: min(found)] if found else text


def open_subject(path: str | Path) -> Local:
    """A run's folder, a quantized or GGUF file or a Hugging Face folder.  Errors as open_model."""
    from tinygpt.screens.console import warn

    model, tokenizer = open_model(path, warn)
    return Local(model, tokenizer, form_of(path), str(path), _learned_opening(path, tokenizer))


def _learned_opening(path: str | Path, tokenizer: Tokenizer) -> list[int] | None:
    """How texts begin for a run that learned one long text: it never saw the token of their end."""
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    if end is None or kind(Path(expand(path)) / "tokens") != "folder":
        return None
    seen = np.asarray(open_dataset(Path(expand(path)) / "tokens").train[:LOOKED_AT])
    if (seen == end).any():
        return None
    return tokenizer.encode(opening(tokenizer), disallowed_special=())


def _opening(tokenizer: Tokenizer, form: ChatForm | None) -> list[int]:
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    if form is not None:
        return opening_ids(tokenizer, form) or ([] if end is None else [end]) or [0]
    if end is not None:
        return [end]
    return tokenizer.encode(opening(tokenizer), disallowed_special=())


def _common(a: np.ndarray, b: np.ndarray) -> int:
    """How many ids two rows begin with alike."""
    both = min(len(a), len(b))
    return int(np.append(a[:both] == b[:both], False).argmin())


def _log_p(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log softmax at the target, whether it is the highest): logits (N, V) or (1, V)."""
    top = logits.max(axis=-1, keepdims=True)
    sums = np.exp(logits - top).sum(axis=-1, dtype=np.float64)
    rows = np.arange(len(logits))
    chosen = logits[rows, targets].astype(np.float64)
    return chosen - top[:, 0] - np.log(sums), chosen >= top[:, 0]


def _copies(model: LanguageModel, cache: KVCache, count: int, more: int) -> KVCache:
    """The cache of one text for `count` texts that begin like it, with room for `more` tokens."""
    made = model.make_cache(count)
    made.reserve(cache.length + more - made.length)
    places = min(cache.length, cache.keys.shape[2])
    for into, held in zip(made.arrays, cache.arrays, strict=True):
        into[:, :, :places] = held[:, :, :places]
    made.length = cache.length
    made.last = None if cache.last is None else np.repeat(cache.last, count)
    return made
