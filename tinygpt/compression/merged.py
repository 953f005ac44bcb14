"""An adapter learned beside rounded weights, and rounded with them again.

Merged into floats it computes the same. Rounded again it does not: what was learned fitted the old
roundings, and a change smaller than half a step of the levels is gone. So whoever wants a small
file of an adapted model is told what it costs.

Read first: ../adapters/adapt.py (`merge`), quality.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygpt.adapters import merge
from tinygpt.compression.quality import Quality, Reference
from tinygpt.compression.quantize import quantize_model
from tinygpt.model import LanguageModel


def merge_rounded(
    model: LanguageModel, scheme: str, tokens: Sequence[int], limit: int = 10_000
) -> Quality:
    """Merge the adapter of a model and round all matrices to a scheme, in place.

    tokens: held out, of what the adapter was taught; at most `limit` are looked at.
    Returns how the model's predictions moved from those with the adapter beside it.
    Raises UserError as `merge` and `quantize_model`, DataError for fewer than two tokens.
    """
    reference = Reference(model, tokens, limit)
    merge(model)
    quantize_model(model, scheme)
    return reference.compare(model)
