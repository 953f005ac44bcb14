"""A model as it is served: its name, how it is spoken to, and the engine that runs it.

Read next: worker.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import no_grad
from minigrad.nn import evaluating
from tinygpt.config import find_objective
from tinygpt.errors import UsageError
from tinygpt.inference.embedding import as_ids, embed
from tinygpt.inference.prompt import end_ids, knows, marks, opening, opening_ids
from tinygpt.inference.templates import Messages, prompt_ids
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm
from tinygpt.runs.checkpoint import Warn
from tinygpt.serving.engine import Engine
from tinygpt.serving.forms import Forms
from tinygpt.serving.inside.passes import Passes
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer
from tinygpt.weights.beside import Base
from tinygpt.weights.open import objective_of

BETWEEN = "\n\n"  # what a base model's turns are divided by (../inference/chat.py)


class Served:
    """A model with its tokenizer.

    writes: whether it goes on with a text; an encoder makes vectors alone, and what turns one text
    into another is there to be looked at.
    context: tokens of a prompt with its answer.  ends: ids that end an answer.
    opening: ids that stand before every text.  forms: what answers can be held to.
    engine: runs it, in the computing thread alone; None for a model that does not write.
    passes: over texts that are being looked at.
    path: where it was opened, None for one that is of no file.
    """

    engine: Engine | None
    path: Path | None = None

    def __init__(
        self, name: str, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm | None = None,
        settings: dict[str, Any] | None = None,
    ):
        self.name, self.model, self.tokenizer, self.form = name, model, tokenizer, form
        self.writes = model.shape.assembly == "decoder"
        self.ends = frozenset(end_ids(tokenizer, form))
        self.opening = opening_ids(tokenizer, form)
        self.forms = Forms(tokenizer, model.shape.vocab_size, self.ends)
        self.passes = Passes()
        self._settings = settings or {}
        self.renew()
        self.context = self.engine.context if self.engine else model.shape.context

    @classmethod
    def open(
        cls, path: str, warn: Warn, settings: dict[str, Any], adapters: Sequence[str] = ()
    ) -> list[Served]:
        """Whatever `open_model` opens, by the last part of its path, and what was learned beside
        it, each a model by the adapter's name that shares its arrays.  Raises UserError."""
        base = Base.open(path, adapters, warn)
        tokenizer, form = base.tokenizer, base.form
        if form is None and find_objective(objective_of(path)).teaches_roles:
            form = ChatForm(OWN_TEMPLATE, ends=tuple(tokenizer.special_tokens))
        where = Path(path).resolve()
        name = where.stem if where.is_file() else where.name
        first = cls(name, base.model, tokenizer, form, settings)
        first.path = where
        return [first, *(cls(name, one.model, tokenizer, one.form or form, settings)
                         for name, one in base.adapted.items())]

    def renew(self) -> None:
        """Begin anew: nothing is under way, nothing is remembered."""
        self.engine = Engine(self.model, **self._settings) if self.writes else None

    @property
    def end_text(self) -> str:
        """The name of the token that ends a text; a text to begin with where none does."""
        if self.form is not None and self.form.eos in self.tokenizer.special_tokens:
            return self.form.eos or ""
        known = END_OF_TEXT in self.tokenizer.special_tokens
        return END_OF_TEXT if known else opening(self.tokenizer)

    @property
    def taught(self) -> bool:
        """Whether it learned who speaks, and ends its own answers."""
        return self.form is not None and self.form.template is not None

    def ids_of(self, text: str) -> list[int]:
        """A text's ids as the model reads it; names of special tokens in it are ordinary
        characters.

        An encoder's text stands between its marks, a source has its end behind it.
        """
        if self.model.shape.assembly == "encoder":
            return as_ids(self.tokenizer, text, sys.maxsize).tolist()
        ids = self.tokenizer.encode(text, disallowed_special=())
        if self.model.shape.assembly == "encoder-decoder":
            return [*ids, marks(self.tokenizer)[0]]
        return [*self.opening, *ids]

    def ids_of_messages(self, messages: Messages) -> list[int]:
        """The ids of a conversation in which the model speaks next.

        A model that was not taught to answer goes on with all that was said; after nothing it
        begins, as behind the end of another text.
        """
        if self.form is not None and self.form.template is not None:
            return prompt_ids(self.form, self.tokenizer, messages)
        said = self.ids_of(self.between.join(message["content"] for message in messages))
        return said or self.tokenizer.encode(self.end_text, allowed_special="all")

    @property
    def between(self) -> str:
        return BETWEEN if knows(self.tokenizer, BETWEEN) else ""

    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer in a conversation where none are asked for."""
        return () if self.taught or not self.between else (self.between,)

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors of texts."""
        return self.model.shape.assembly != "encoder-decoder"

    def embed(self, source: str | list[int]) -> np.ndarray:
        """(C,) float32 of length 1: the mean of what the model made of each token."""
        if not self.writes and isinstance(source, str):
            return embed(self.model, self.tokenizer, [source])[0]
        ids = np.array([self.ids_of(source) if isinstance(source, str) else source])
        with evaluating(self.model), no_grad():
            mean = self.model.hidden(ids).data[0].mean(axis=0)  # (1, T, C) -> (C,)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)


def open_all(
    paths: Sequence[str], warn: Warn, settings: dict[str, Any], adapters: Sequence[str] = ()
) -> dict[str, Served]:
    """The models by their names.  adapters: beside the one model of `paths`.

    Raises UsageError for two of one name or adapters beside several, else as `Served.open`.
    """
    if adapters and len(paths) != 1:
        raise UsageError(
            f"adapters stand beside one model, and {len(paths)} are given. Serve one with them."
        )
    found: dict[str, Served] = {}
    for one in (one for path in paths for one in Served.open(path, warn, settings, adapters)):
        if one.name in found:
            raise UsageError(
                f"two models are called {one.name}. Rename one: clients choose them by their names."
            )
        found[one.name] = one
    return found
