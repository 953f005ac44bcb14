"""Adapters beside a base: several on one that is opened once, and copied by none.

    base = Base.open("SmolLM2.gguf", ["answers", "sql=peft-folder"], warn)
    base.adapted["answers"].model            a LanguageModel that shares the base's arrays

An adapter is a run of `tinygpt finetune`, or a folder of PEFT's. What each has of its own: factors,
vectors, and of DoRA and IA3 the matrices that they change (../adapters/adapt.py, `settle`).

Read next: ../adapters/adapt.py, ../exchange/peft.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from minigrad import nn
from tinygpt.adapters import settle
from tinygpt.errors import UsageError, UserError
from tinygpt.exchange import peft
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import ChatForm, chat_form
from tinygpt.runs.checkpoint import Warn
from tinygpt.runs.run import Run
from tinygpt.storage.paths import PathError, expand, kind, shown
from tinygpt.tokenizer import Tokenizer
from tinygpt.weights.open import check_adapter, digest, form_of, install, open_model


@dataclass(frozen=True)
class Adapted:
    """A base with one adapter.  form: how it is spoken to."""

    model: LanguageModel
    form: ChatForm | None


@dataclass
class Base:
    """A model and what was learned beside it.  adapted: by the adapters' names, in their order."""

    path: str
    model: LanguageModel
    tokenizer: Tokenizer
    form: ChatForm | None
    adapted: dict[str, Adapted] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str, adapters: Sequence[str], warn: Warn) -> Base:
        """The model at a path, with adapters: places, or NAME=PLACE; else the last part of the
        place is the name.

        Its weights are as in its file, unless an adapter was trained beside their floats.
        Raises UsageError for two of one name, UserError for what is no adapter or another base's.
        """
        places = {}
        for text in adapters:
            name, place = named(text)
            if name in places or name == "base":
                raise UsageError(
                    f"two are called {name}. Call one otherwise: --adapter NAME={place}."
                )
            places[name] = place
        whole = any(not peft.looks_like(place) and _run(place)[1] for place in places.values())
        base = cls(path, *open_model(path, warn, whole), form_of(path))
        for name, place in places.items():
            base.adapted[name] = base.beside(place, warn)
        return base

    def voices(self) -> dict[str, Adapted]:
        """All that can answer: "base", and the adapters."""
        return {"base": Adapted(self.model, self.form), **self.adapted}

    @cached_property
    def mark(self) -> str:
        """A hash of all its values."""
        return digest(self.model)

    def beside(self, place: Path, warn: Warn) -> Adapted:
        """What was learned at a place, beside this base, of which nothing is copied or changed."""
        model = nn.shared(self.model)
        if peft.looks_like(place):
            peft.read_adapter(place, model)
            form = chat_form(place) or self.form
        else:
            run, _ = _run(place)
            if run.config.model != model.shape:
                raise UserError(_another(place, self.path, run.config.base))
            saved = run.find("last", warn)
            if saved.state().get("data", {}).get("base") != self.mark:
                raise UserError(_another(place, self.path, run.config.base))
            install(run, saved, model)
            form = form_of(place)
        settle(model)
        return Adapted(model.eval(), form)


def named(text: str) -> tuple[str, Path]:
    """(name, place) of an adapter as it was typed.  Raises PathError where nothing is."""
    name, equals, place = text.partition("=")
    if not equals or kind(expand(text)):
        name, place = "", text
    path = Path(expand(place))
    if not kind(path):
        raise PathError(
            f"there is no {shown(path)}. Give the --out folder of a `tinygpt finetune` by an "
            "adapter, or a folder of PEFT's."
        )
    return name or path.resolve().name, path


def _run(place: Path) -> tuple[Run, bool]:
    """(the run of an adapter, whether its base was float).  Raises UserError for anything else."""
    run = Run.open(place)
    return run, check_adapter(run) != "qlora"


def _another(place: Path, base: str, own: str) -> str:
    return (
        f"{shown(place)} was trained on another base than {shown(base)}, or on other weights of "
        f"it. Give the model that it was made for: {shown(own)}."
    )
