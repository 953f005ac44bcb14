"""The methods of `tinygpt compress`, by name: what each is, what it needs, what it makes.

Read next: rounding.py, pruning.py, low_rank.py, structured.py, budget.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygpt.compression import budget, pruning, structured
from tinygpt.compression.calibration import LIMIT, check_enough, linears, walk
from tinygpt.compression.low_rank import low_rank
from tinygpt.compression.quality import SWEEP_TOKENS
from tinygpt.compression.quantize import quantize_model
from tinygpt.compression.rounding import awq_model, gptq_model
from tinygpt.errors import UsageError, UserError
from tinygpt.model import LanguageModel

ROUNDING = ("gptq", "awq")
PRUNING = ("magnitude", "wanda", "sparsegpt")
IN_PLACE = (*PRUNING, "svd")  # a matrix becomes another of its size
METHODS = (*ROUNDING, *IN_PLACE, *structured.PARTS, "budget")
PATTERNS = {"free": None, "2:4": 4}  # neighbours that are compared; None: as the method has it

Tell = Callable[[int, int], object]
Weigh = Callable[[Mapping[str, str]], int]


@dataclass(frozen=True)
class Asked:
    """One compression.

    share: of weights, of values or of parts that go; pruning's, svd's and structured's.
    pattern: a key of PATTERNS; pruning's.
    bytes: of the whole file; budget's.
    """

    method: str
    share: float = 0.5
    pattern: str = "free"
    bytes: int = 0
    limit: int = LIMIT

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UsageError(
                f"--share {self.share:g} must lie between 0 and 1: the part that goes."
            )
        if self.pattern != "free" and self.method not in PRUNING:
            raise UsageError(
                f"--pattern {self.pattern} says which weights go, but {self.method} takes none. "
                f"Leave it out, or choose one of {', '.join(PRUNING)}."
            )
        if self.pattern == "2:4" and self.share != 0.5:
            raise UsageError(
                f"--pattern 2:4 is half of the weights, --share {self.share:g} is not. "
                "Leave --share out."
            )
        if (self.method == "budget") != (self.bytes > 0):
            raise UsageError(
                "--method budget and --budget SIZE belong together. Give both, or another method."
            )

    @property
    def reads(self) -> bool:
        """Whether it looks at a text; magnitude looks at the weights alone."""
        return self.method != "magnitude"


def compress(
    model: LanguageModel, asked: Asked, tokens: Sequence[int], weigh: Weigh,
    tell: Tell = lambda done, total: None,
) -> Any:
    """A smaller model, in the place of `model` or new.

    tokens: to see what the matrices read, and by budget to measure what rounding loses; none where
        `asked` does not read.
    weigh: bytes of the file of this model, each matrix by its scheme: header and tokenizer too.
    Raises UserError as the methods do, and for a budget below the smallest file.
    """
    if asked.method == "magnitude":
        for linear in linears(model).values():
            linear.weight.data[...] = pruning.magnitude(
                linear.weight.data, asked.share, PATTERNS[asked.pattern]
            )
        return model
    if asked.method == "gptq":
        return gptq_model(model, tokens, asked.limit, tell)
    if asked.method == "awq":
        return awq_model(model, tokens, asked.limit, tell)
    if asked.method in IN_PLACE:
        return _in_place(model, asked, tokens, tell)
    if asked.method in structured.PARTS:
        return structured.shrink(model, asked.method, asked.share, tokens, asked.limit)
    _check_fits(model, asked, weigh)
    check_enough(tokens)
    return quantize_model(model, _within(budget.measure(model, tokens, SWEEP_TOKENS), asked, weigh))


def _check_fits(model: LanguageModel, asked: Asked, weigh: Weigh) -> None:
    """Raise UserError where no choice makes the file so small: before long measuring, not after."""
    least = weigh(budget.fewest(model))
    if asked.bytes < least:
        raise UserError(
            f"no file of this model has {asked.bytes / 1e6:.2f} MB: with the fewest bits everywhere"
            f" it takes {math.ceil(least / 1e4) / 100:.2f} MB. Give --budget so much or more, or "
            "make the model smaller first (--method channels)."
        )


def _within(table: budget.Table, asked: Asked, weigh: Weigh) -> dict[str, str]:
    """The best choice whose whole file fits: what is no matrix is known once one is chosen."""
    allowed = asked.bytes
    while True:
        schemes = budget.choose(table, allowed)
        over = weigh(schemes) - asked.bytes
        if over <= 0:
            return schemes
        allowed = min(allowed, sum(table[m][s][0] for m, s in schemes.items())) - over


def _in_place(
    model: LanguageModel, asked: Asked, tokens: Sequence[int], tell: Tell
) -> LanguageModel:
    """Block by block: each reads what those before it, changed already, make of the text."""
    group = PATTERNS[asked.pattern]
    for number, found in enumerate(walk(model, tokens, asked.limit)):
        tell(number, model.shape.blocks)
        for name, linear in linears(model).items():
            if name not in found:
                continue
            weight = linear.weight.data
            if asked.method == "wanda":
                made = pruning.wanda(weight, found[name], asked.share, group)
            elif asked.method == "svd":
                made = low_rank(weight, found[name].second, asked.share)
            else:
                made = pruning.sparsegpt(weight, found[name], asked.share, group)
            linear.weight.data[...] = made
    return model
