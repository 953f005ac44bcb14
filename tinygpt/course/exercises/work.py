"""Pieces of real work that a learner's function joins, and helpers of several exercises.

Everything that would import the house's numeric code is imported inside functions: her function
must be in its place before anybody imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TEXT = "the cat sat on the mat and the dog sat on the log by the old red barn. " * 12
NET = "20 steps of a net that learns a curve"  # what net_losses are
STEPS = 20


def gpt_losses(**shape: Any) -> Callable[[], list[float]]:
    """A function that trains a GPT of two layers for 20 steps and returns its losses.

    shape: settings of ModelShape beside the smallest ones.
    """
    return gpt_steps(lambda step: 1e-2, **shape)


def muon_losses() -> list[float]:
    """The same, the matrices of the blocks by Muon."""
    from minigrad import optim

    def make(model: Any) -> Any:
        every = list(model.parameters())
        matrices = [p for p in every if p.data.ndim == 2]
        rest = [p for p in every if p.data.ndim != 2]
        return optim.Muon(matrices, [{"params": rest}], lr=1e-2)

    return gpt_steps(lambda step: 1e-2, make)()


def gpt_steps(
    rate: Callable[[int], float] | None = None, make: Callable[[Any], Any] | None = None,
    **shape: Any,
) -> Callable[[], list[float]]:
    """As gpt_losses.  rate: of each step, None for a warm-up and a cosine; make: the optimizer."""

    def train() -> list[float]:
        from minigrad import optim
        from tinygpt.data.batches import BatchLoader
        from tinygpt.model import ModelShape, build

        letters = sorted(set(TEXT))
        ids = np.array([letters.index(letter) for letter in TEXT])
        settings = {"n_layers": 2, "n_heads": 2, "d_model": 16, "context": 16, **shape}
        model = build(ModelShape(vocab_size=len(letters), **settings), np.random.default_rng(0))
        optimizer = (make or _adamw)(model)
        rates = rate or optim.warmup_cosine(1e-2, 1e-3, 5, STEPS)
        batches, losses = BatchLoader(ids, 4, 16, np.random.default_rng(1)), []
        for step, batch in zip(range(STEPS), batches, strict=False):
            optimizer.zero_grad()
            loss = model.loss(batch.ids, batch.targets)
            loss.backward()
            optimizer.step(lr=rates(step))
            losses.append(loss.item())
        return losses

    return train


def _adamw(model: Any) -> Any:
    from minigrad import optim

    return optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)


def through(f: Callable[..., Any], *arrays: Any) -> Any:
    """{"value", "gradient" of each array} of an operation on Tensors, for a fixed dLoss/dy."""
    from minigrad import Tensor

    tensors = [Tensor(a.copy(), requires_grad=a.dtype.kind == "f")
               for a in arrays if isinstance(a, np.ndarray)]
    rest = [a for a in arrays if not isinstance(a, np.ndarray)]
    return slopes(f(*tensors, *rest), tensors)


def slopes(y: Any, tensors: Sequence[Any]) -> Any:
    """{"value", "gradient" of each of `tensors`} of a Tensor, for a fixed dLoss/dy."""
    from minigrad import Tensor

    if not isinstance(y, Tensor):
        raise TypeError(f"it returns a {type(y).__name__} where a Tensor is right")
    slope = np.cos(np.arange(y.data.size, dtype=y.dtype)).reshape(y.shape)
    if y.requires_grad:
        (y * Tensor(slope)).sum().backward()
    return {"value": y.data, "gradient": [t.grad for t in tensors]}


def op_gradient(name: str) -> Any:
    """What check_grads is given of an operation on two arrays, the second broadcast."""

    def gradient(draw: Any) -> Any:
        from minigrad import ops

        a = draw.array((2, 3), np.float64)
        return getattr(ops, name), [a, draw.array((3,), np.float64, (1.0, -2.0, 0.5, 1.5))]

    return gradient


def net_losses() -> list[float]:
    """The losses of a net of two layers that learns a curve, written with plain operations."""
    from minigrad import Tensor, tensor

    rng = np.random.default_rng(0)
    x = np.linspace(-2, 2, 32)[:, None]
    inputs, wanted = tensor(x), tensor(np.sin(2 * x))
    weights = [Tensor(rng.standard_normal(shape) * 0.7, requires_grad=True)
               for shape in ((1, 8), (8,), (8, 1), (1,))]
    a, b, c, d = weights
    losses = []
    for _ in range(STEPS):
        for w in weights:
            w.grad = None
        off = (inputs @ a + b).tanh() @ c + d - wanted
        loss = (off * off).mean() / tensor(2.0, dtype=np.float64)
        loss.backward()
        for w in weights:
            w.data -= 0.1 * np.asarray(w.grad)
        losses.append(loss.item())
    return losses


def classifier_losses() -> list[float]:
    """The losses of a linear classifier of three clouds; softmax and logsumexp are in its loss."""
    from minigrad import Tensor, ops, tensor

    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 48)
    points = rng.standard_normal((48, 2)) + np.array([[2, 0], [-1, 2], [-1, -2]])[kinds]
    x, wanted = tensor(points), tensor(np.eye(3)[kinds])
    weight = Tensor(rng.standard_normal((2, 3)), requires_grad=True)
    losses = []
    for _ in range(STEPS):
        weight.grad = None
        logits = x @ weight
        surprise = ops.logsumexp(logits, -1).mean() - (logits * wanted).sum(axis=-1).mean()
        missed = (ops.softmax(logits) - wanted).square().mean()
        loss = surprise + missed
        loss.backward()
        weight.data -= 0.3 * np.asarray(weight.grad)
        losses.append(loss.item())
    return losses
