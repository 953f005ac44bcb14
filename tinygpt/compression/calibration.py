"""What each matrix reads: statistics of its inputs on a little text.

Rounding and pruning look at the weights alone; everything better asks which inputs a weight will
be multiplied by. For y = W x the damage of a change E of W is, over the calibration text,

    sum_t |E x_t|^2  =  tr(E H E^T),      H = sum_t x_t x_t^T

so H, a (K, K) matrix, holds all that second order can know. Its diagonal is Wanda's |x_k|^2.

Source: Hassibi and Stork 1993 (the second-order view); Frantar et al. 2023 (GPTQ), section 3.
Read next: pruning.py, rounding.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from minigrad import Tensor, nn, no_grad
from minigrad.nn import replace_modules
from minigrad.ops.linear import activated
from tinygpt.data import evaluation_batches
from tinygpt.errors import UserError
from tinygpt.model import LanguageModel

LEAST = 1024  # tokens: fewer leave most of H to chance
LIMIT = 16_384  # tokens: more changes little
BATCH = 8
WINDOW = 1024  # tokens read together at most: attention over 8192 takes most of the time

State = tuple[Tensor, Tensor | None, Any]  # branch, stream, what is seen


class Inputs:
    """What one matrix (N, K) read.

    second: H = sum of x x^T, (K, K) float64.  total: sum of |x|, (K,).  count: vectors.
    """

    def __init__(self, width: int):
        self.second = np.zeros((width, width))
        self.total = np.zeros(width)
        self.count = 0

    def add(self, x: np.ndarray) -> None:
        """x: (..., K) float32, more of what is read."""
        rows = x.reshape(-1, x.shape[-1])
        self.second += rows.T @ rows
        self.total += np.abs(rows).sum(axis=0, dtype=np.float64)
        self.count += len(rows)

    @property
    def norms(self) -> np.ndarray:
        """|x_k| over the text, the root of H's diagonal, (K,)."""
        return np.sqrt(np.diag(self.second))

    @property
    def size(self) -> np.ndarray:
        """The mean of |x_k|, (K,)."""
        return self.total / max(1, self.count)


class _Watched(nn.Module):
    """A Linear that tells `inputs` what it reads."""

    def __init__(self, linear: nn.Linear, inputs: Inputs):
        self.linear, self.inputs = linear, inputs

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        self.inputs.add(activated(x.data, self.linear.activation))
        return self.linear(x, residual)


def linears(model: Any) -> dict[str, nn.Linear]:
    """Name -> each Linear of the model's blocks, in the order of the layers."""
    return {
        name: module for name, module in model.named_modules()
        if type(module) is nn.Linear and name.startswith("blocks.")
    }


def calibrate(
    model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT
) -> dict[str, Inputs]:
    """Name -> what each of `linears` reads while the model reads `tokens`, in one pass.

    limit: look at about so many tokens, in windows spread over the text.
    Memory: 8 K^2 bytes a matrix.  Raises UserError for a text of fewer than LEAST tokens.
    """
    wanted = linears(model)
    found = {name: Inputs(linear.weight.shape[1]) for name, linear in wanted.items()}
    with _watching(model, {id(wanted[name]): inputs for name, inputs in found.items()}):
        for ids in _windows(model, tokens, limit):
            model.hidden(ids)
    return found


def walk(
    model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT
) -> Iterator[dict[str, Inputs]]:
    """Block after block: what its matrices read, given the blocks before it as they are by then.

    Whoever changes a block's matrices before the next step has them read by all that follows, as
    they will be. Each block runs twice over the text. Arguments and errors as `calibrate`'s.
    Blocks that serve several layers are seen at once, in one pass.
    """
    if model.shape.blocks < model.shape.n_layers:
        yield calibrate(model, tokens, limit)
        return
    states = _first_states(model, tokens, limit)
    for number, block in enumerate(model.blocks):  # type: ignore[attr-defined]
        wanted = {
            name: linear for name, linear in linears(model).items()
            if name.startswith(f"blocks.{number}.")
        }
        found = {name: Inputs(linear.weight.shape[1]) for name, linear in wanted.items()}
        with _watching(model, {id(wanted[name]): inputs for name, inputs in found.items()}):
            for state in states:
                _through(block, state)
        yield found
        states = [_through(block, state) for state in states]


def check_enough(tokens: Sequence[int]) -> None:
    """Raise UserError for a text of fewer than LEAST tokens."""
    if len(tokens) < LEAST:
        raise UserError(
            f"the calibration text has {len(tokens)} tokens, which say too little of what the "
            f"matrices read. Give at least {LEAST}."
        )


def _windows(model: LanguageModel, tokens: Sequence[int], limit: int) -> Iterator[np.ndarray]:
    """Batches of ids (B, T), the model in evaluation and without gradients meanwhile."""
    check_enough(tokens)
    context = min(model.shape.context, WINDOW, len(tokens) - 1)
    model.eval()
    with no_grad():
        for ids, _ in evaluation_batches(tokens, BATCH, context, limit):
            yield ids


def streams(
    model: LanguageModel, tokens: Sequence[int], limit: int = LIMIT
) -> Iterator[list[np.ndarray]]:
    """Of each batch the stream before every block and behind the last: (L + 1) of (B, T, C).

    Arguments and errors as `calibrate`'s.
    """
    for state in _first_states(model, tokens, limit):
        passed = [_sum(state)]
        for block in model.layers():  # type: ignore[attr-defined]
            state = _through(block, state)
            passed.append(_sum(state))
        yield passed


def _sum(state: State) -> np.ndarray:
    """Where the stream is: what the last half found is added by the next norm (block.py)."""
    branch, stream, _ = state
    return branch.data if stream is None else branch.data + stream.data


class _Caught(nn.Module):
    """In the first block's place: keeps what it would get, and ends the pass."""

    def __init__(self, states: list[State]):
        self.states = states

    def forward(self, branch: Tensor, stream: Tensor | None, cache: None, sight: Any) -> None:
        self.states.append((branch, stream, sight))
        raise _EnoughError


class _EnoughError(Exception):
    """The first block was reached."""


def _first_states(model: LanguageModel, tokens: Sequence[int], limit: int) -> list[State]:
    """What the first block gets of each batch."""
    states: list[State] = []
    first = model.blocks[0]  # type: ignore[attr-defined]
    caught = _Caught(states)
    replace_modules(model, lambda _, module: module is first, lambda _: caught)
    try:
        for ids in _windows(model, tokens, limit):
            with suppress(_EnoughError):
                model.hidden(ids)
    finally:
        replace_modules(model, lambda _, module: module is caught, lambda _: first)
    return states


def _through(block: Any, state: State) -> State:
    branch, stream, sight = state
    with no_grad():
        return (*block(branch, stream, None, sight), sight)


@contextmanager
def _watching(model: LanguageModel, inputs: dict[int, Inputs]) -> Iterator[None]:
    replace_modules(
        model, lambda _, module: id(module) in inputs,
        lambda module: _Watched(module, inputs[id(module)]),  # type: ignore[arg-type]
    )
    try:
        yield
    finally:
        replace_modules(
            model, lambda _, module: isinstance(module, _Watched),
            lambda module: module.linear,  # type: ignore[attr-defined]
        )
