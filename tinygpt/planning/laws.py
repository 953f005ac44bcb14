"""How well a model of some size does after some training on some text, in bits per byte.

    bits = scale (E + A N^-a + B (T r^p)^-b + C (V / U)^c + O)

N: parameters in blocks.  T: tokens learned from, repetitions counting less and less, and less with
dropout.  r: bytes in a token.  V: entries of the vocabulary.  U: tokens of the text.  The first
three terms are those of Hoffmann et al. 2022; that the n-th pass over a text teaches less than the
first is Muennighoff et al. 2023: R passes are worth K (1 - exp(-R / K)). C is what a vocabulary
costs whose entries the text holds too rarely to teach, and O what a model loses that begins to know
its text by heart: it grows with the passes and with the parameters, those of the tables too, for
each token of the text, as a power at first and as a logarithm in the end.

The scale is the text's: the root of how well zlib packs it, against Shakespeare, which is about
what the runs have. It says what is to be expected and leaves every choice as it is.

The constants stand in laws.json; `python -m bench dial fit` finds them from runs of our own.

Read next: dial.py, which chooses by them.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "laws.json"


class Case(NamedTuple):
    """A training, as the laws see it.

    parameters: in blocks.  tables: in embeddings.  vocab: entries.  bytes_per_token: of this text.
    text_tokens: of what is learned from, once through.  tokens: learned from in all.
    scale: the text's.
    """

    parameters: float
    tables: float
    vocab: int
    bytes_per_token: float
    text_tokens: float
    tokens: float
    dropout: float
    scale: float = 1.0

    @property
    def passes(self) -> float:
        """Over the text."""
        return self.tokens / self.text_tokens


@cache
def constants() -> dict[str, float]:
    """Those that the fit left."""
    values: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))["constants"]
    return values


def bits_per_byte(case: Case, laws: dict[str, float] | None = None) -> float:
    """What the laws expect of held-out text.  laws: their constants, None for those kept."""
    k = constants() if laws is None else laws
    worth = k["repeats"] * -math.expm1(-case.passes / k["repeats"]) * case.text_tokens
    worth *= (1 - case.dropout) ** k["dropout_slows"]
    data = worth * case.bytes_per_token ** k["data_bytes"]
    crowded = (case.parameters + case.tables) / case.text_tokens
    heart = crowded ** k["heart_crowded"] * case.passes ** k["heart_passes"]
    return case.scale * (
        k["floor"]
        + (k["size"] / case.parameters) ** k["size_power"]
        + (k["data"] / data) ** k["data_power"]
        + k["vocab"] * (case.vocab / case.text_tokens) ** k["vocab_power"]
        + math.log1p(k["heart"] * heart * (1 - case.dropout) ** k["dropout_saves"])
    )
