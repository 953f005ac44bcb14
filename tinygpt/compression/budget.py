"""A file of so many bytes: which matrix gets how many bits.

Each matrix is rounded alone by each scheme, and what the model's predictions then lose (KL,
quality.py) is taken as its own: losses of several add up, nearly, as long as they are small. Then
each matrix chooses one scheme, such that the sum of the losses is least and the sum of the bytes
fits. That is the multiple-choice knapsack, and for a few hundred matrices it is solved exactly over
a grid of sizes:

    best[b] after matrix m  =  min over schemes s of  best[b - bytes(m, s)] before it + loss(m, s)

Source: the additive model, Dong et al. 2019 (HAWQ); the recursion, Bellman 1957.
Read first: quality.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigrad.nn.quantized import file_bytes
from tinygpt.compression.quality import Reference, sweep
from tinygpt.compression.quantize import scheme_of
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel
from tinygpt.weights.quantized import quantizable

CHOICES = ("nf4", "int4", "q4_1", "int8")  # from few bits to many
GRID = 4000  # sizes that are told apart: a budget is met to a few parts in ten thousand a matrix

Table = Mapping[str, Mapping[str, tuple[int, float]]]  # matrix -> scheme -> (bytes, KL in nats)


def measure(
    model: LanguageModel, tokens: Sequence[int], limit: int, choices: Sequence[str] = CHOICES
) -> dict[str, dict[str, tuple[int, float]]]:
    """What each matrix of a float model takes and loses under each scheme, as a Table."""
    reference = Reference(model, tokens, limit)
    found: dict[str, dict[str, tuple[int, float]]] = {name: {} for name in quantizable(model)}
    for scheme in choices:
        sizes = _sizes(model, scheme)
        for name, quality in sweep(model, reference, scheme):
            found[name][scheme] = (sizes[name], max(0.0, quality.kl))
    return found


def fewest(model: LanguageModel, choices: Sequence[str] = CHOICES) -> dict[str, str]:
    """Matrix -> the scheme of the fewest bytes: no file is smaller."""
    sizes = {scheme: _sizes(model, scheme) for scheme in choices}
    return {name: min(choices, key=lambda s: sizes[s][name]) for name in quantizable(model)}


def _sizes(model: LanguageModel, scheme: str) -> dict[str, int]:
    """Matrix -> its bytes in a file."""
    return {
        name: file_bytes(scheme_of(name, scheme), module.weight.shape)
        for name, module in quantizable(model).items()
    }


def choose(table: Table, budget: int) -> dict[str, str]:
    """Matrix -> scheme: the least sum of losses whose bytes are at most `budget`.

    Raises UserError for a budget below what the smallest schemes take.
    """
    least = sum(min(size for size, _ in row.values()) for row in table.values())
    if budget < least:
        raise UserError(
            f"the matrices take at least {least / 1e6:.2f} MB in four bits, and {budget / 1e6:.2f} "
            "MB of the budget are left for them. Give more, or make the model smaller first."
        )
    most = sum(max(size for size, _ in row.values()) for row in table.values())
    unit = max(1, -(-min(budget, most) // GRID))
    cells = min(budget, most) // unit
    best = np.zeros(cells + 1)
    picks: list[np.ndarray] = []
    for row in table.values():
        after = np.full(cells + 1, np.inf)
        pick = np.zeros(cells + 1, dtype=np.int8)
        for number, (size, loss) in enumerate(row.values()):
            taken = -(-size // unit)  # rounded up: the sum never passes the budget
            if taken > cells:
                continue
            total = best[: cells + 1 - taken] + loss
            better = total < after[taken:]
            after[taken:][better] = total[better]
            pick[taken:][better] = number
        best = after
        picks.append(pick)
    if not np.isfinite(best[-1]):  # the least fits in bytes but not once rounded up to cells
        return {name: min(row, key=lambda s: row[s][0]) for name, row in table.items()}
    chosen, left = {}, cells
    for (name, row), pick in zip(reversed(list(table.items())), reversed(picks), strict=True):
        scheme = list(row)[int(pick[left])]
        chosen[name] = scheme
        left -= -(-row[scheme][0] // unit)
    return dict(reversed(list(chosen.items())))
