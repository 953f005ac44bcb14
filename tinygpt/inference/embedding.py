"""Texts as vectors: what an encoder made of their tokens, averaged.

    vectors = embed(model, tokenizer, ["A dog ran.", "A cat sat."])     # (2, C), of length 1
    vectors @ vectors.T                                                  # cosines

The mean over a text's tokens is what Reimers and Gurevych 2019 found best; the vector of length 1
makes a product of two a cosine.

Read next: ../model/encoder.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad import no_grad
from minigrad.nn import evaluating
from tinygpt.model import LanguageModel
from tinygpt.model.classifier import mean_vector
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer

AT_ONCE = 32  # texts in one pass


def as_ids(tokenizer: Tokenizer, text: str, context: int) -> np.ndarray:
    """A text as an encoder reads it, (n,) int64: opened by <|endoftext|>, cut to the context.

    One of BERT's reads it between [CLS] and [SEP].
    Raises TokenizerError for a character that it never saw.
    """
    ids = tokenizer.encode_array(text, disallowed_special=()).astype(np.int64)
    if END_OF_TEXT not in tokenizer.special_tokens and "[CLS]" in tokenizer.special_tokens:
        first, last = tokenizer.special_id("[CLS]"), tokenizer.special_id("[SEP]")
        return np.array([first, *ids[: max(context - 2, 0)], last])
    return np.concatenate([[tokenizer.special_id(END_OF_TEXT)], ids])[:context]


def pad(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids side by side, (B, T) with 0 behind the shorter ones, and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for row, line in zip(rows, ids, strict=True):
        line[: len(row)] = row
    return ids, lengths


def embed(model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """(N, C) float32, a vector of length 1 for each text, of which the context is read.

    Raises UserError for a model that is no encoder, TokenizerError for an unknown character.
    """
    found = np.empty((len(texts), model.shape.d_model), np.float32)
    rows = [as_ids(tokenizer, text, model.shape.context) for text in texts]
    order = np.argsort([len(row) for row in rows], kind="stable")  # little padding in a batch
    with evaluating(model), no_grad():
        for at in range(0, len(rows), AT_ONCE):
            chosen = order[at : at + AT_ONCE]
            ids, lengths = pad([rows[i] for i in chosen])
            found[chosen] = mean_vector(model.vectors(ids, lengths), lengths).data
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
