"""What a fine-tuning begins with: a base's weights and tokenizer, or a tokenizer of its own.

Read next: objective.py.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from minigrad import nn
from tinygpt.adapters import MethodConfig
from tinygpt.errors import UserError
from tinygpt.finetuning.config import FinetuningConfig
from tinygpt.finetuning.conversations import Conversations
from tinygpt.model import LanguageModel, build
from tinygpt.storage.paths import expand, shown
from tinygpt.tokenizer import DEFAULT_SPECIAL_TOKENS, TRAINERS, CharTokenizer, Tokenizer
from tinygpt.training.objective import Say
from tinygpt.weights import open as weights


def open_base(
    path: str, method: MethodConfig, say: Say | None
) -> tuple[LanguageModel, Tokenizer]:
    """A base's model, rounded weights as they are where the method leaves them so, and its
    tokenizer.

    Raises UserError for one that cannot go on with a text.
    """
    model, tokenizer = weights.open_base(path, method, say or (lambda text: None))
    if model.shape.assembly != "decoder":
        raise UserError(
            f"base = {shown(path)} is of the kind {model.shape.assembly}, and what answers goes on "
            'with a text. Choose a decoder (model.family = "gpt" or "llama").'
        )
    return model, tokenizer


def with_turns(tokenizer: CharTokenizer) -> CharTokenizer:
    """A tokenizer of characters that has the tokens by which turns are told apart, as well."""
    return CharTokenizer(
        tokenizer.characters, (*tokenizer.special_tokens, *DEFAULT_SPECIAL_TOKENS)
    )


def with_rows(
    model: LanguageModel, rows: int, method: MethodConfig, seed: int
) -> LanguageModel:
    """A model with tables of so many rows, new ones drawn as if from those there are.

    Raises UserError for a method that would not train them.
    """
    if rows > model.shape.vocab_size and method.name != "full":
        raise UserError(
            f"method {method.name} keeps the vocabulary of its base, and a model of characters has "
            "no tokens that tell turns apart. Choose --method full."
        )
    rng, arrays = np.random.default_rng(seed), dict(model.state_dict())
    for name in ("token_embedding.weight", "output.weight"):
        if name in arrays:
            old = arrays[name]
            new = rng.normal(old.mean(0), old.std(0), (rows - len(old), old.shape[1]))
            arrays[name] = np.concatenate([old, new.astype(old.dtype)])
    grown = build(dataclasses.replace(model.shape, vocab_size=rows), None)
    nn.copy_arrays(grown.state_dict(), arrays, "model")
    return grown


def place_of(path: str) -> str:
    """Where a base stands, from whatever folder training goes on."""
    return os.path.realpath(expand(path))


def new_tokenizer(config: FinetuningConfig, data: Conversations) -> Tokenizer:
    """Of the characters of all conversations, or BPE or Unigram of those that are learned from."""
    kind = config.tokenizer
    if kind.kind in TRAINERS:
        texts = (f"{m.content}\n" for one in data.train for m in one.messages)
        return TRAINERS[kind.kind](texts, kind.vocab_size, pattern=kind.pattern)
    seen = set[str]().union(
        *(m.content for part in data for one in part for m in one.messages)
    )
    return CharTokenizer("".join(sorted(seen)), DEFAULT_SPECIAL_TOKENS)
