"""What a fine-tuning begins with: a base's weights and tokenizer, or a tokenizer of its own.

Read next: objective.py.
"""

from __future__ import annotations

import os

import numpy as np

from tinygpt.errors import UserError
from tinygpt.finetuning.config import FinetuningConfig
from tinygpt.finetuning.conversations import Conversations
from tinygpt.model import LanguageModel
from tinygpt.storage.paths import expand, shown
from tinygpt.tokenizer import DEFAULT_SPECIAL_TOKENS, TRAINERS, CharTokenizer, Tokenizer
from tinygpt.training.objective import Say
from tinygpt.weights.open import open_model

Arrays = dict[str, np.ndarray]


def open_base(path: str, say: Say | None) -> tuple[LanguageModel, Tokenizer]:
    """A base's model in float32, and its tokenizer.  Raises UserError for one that cannot go on
    with a text."""
    model, tokenizer = open_model(path, say or (lambda text: None), whole=True)
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


def with_rows(weights: Arrays, rows: int, seed: int) -> Arrays:
    """A model's arrays with tables of so many rows, new ones drawn as if from those there are."""
    rng, found = np.random.default_rng(seed), dict(weights)
    for name in ("token_embedding.weight", "output.weight"):
        if name in found:
            old = found[name]
            new = rng.normal(old.mean(0), old.std(0), (rows - len(old), old.shape[1]))
            found[name] = np.concatenate([old, new.astype(old.dtype)])
    return found


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
