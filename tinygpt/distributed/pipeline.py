"""Pipeline parallel, to be read and tried: every rank holds some of the layers.

Rank 0 has the embeddings and the first blocks, the last rank the last blocks and the head. A batch
goes through as on a conveyor belt: a rank hands its activations to the next, and on the way back
the gradients of what it was handed. With one batch only one rank would work at a time, so a step
has several, and every rank works on another of them. In what order decides how much is kept:

    rank 0   F0 F1 .. B0 F2 B1 F3 B2 .. B3
    rank 1   .. F0 B0 F1 B1 F2 B2 F3 B3            F forward, B backward, .. waiting

"One forward, one backward" (1F1B): after the first few forwards, each is followed by the backward
that frees an earlier one's activations. Rank s of S keeps S - s batches' activations, not all. What
waits at both ends is the bubble: (S - 1) / (S - 1 + batches) of the time.

Only (B, T, C) numbers travel for each batch, to one neighbour: far less than in tensor_parallel.py,
and while they travel there is other work.

Sources: Huang et al. 2019 (GPipe), Narayanan et al. 2019 (1F1B).
Read first: tensor_parallel.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import Tensor
from tinygpt.distributed.communicator import Communicator, Pending
from tinygpt.model.gpt import GPT

FORWARD, BACKWARD = "forward", "backward"
DOWN, UP = 1, 2  # channels: of activations, of gradients


def one_forward_one_backward(stage: int, stages: int, batches: int) -> list[tuple[str, int]]:
    """What a stage does in a step: (FORWARD or BACKWARD, number of the batch), in order."""
    ahead = min(stages - 1 - stage, batches)
    order = [(FORWARD, i) for i in range(ahead)]
    for i in range(batches - ahead):
        order += [(FORWARD, ahead + i), (BACKWARD, i)]
    return order + [(BACKWARD, i) for i in range(batches - ahead, batches)]


class Stage:
    """This rank's layers of a decoder.

    model: the whole, as all ranks have built it; only this stage's part of it is used.
    first, last: whether the embeddings are here, and the head.
    blocks: the numbers of its own.
    Raises ValueError for a shape with more than blocks between embedding and head, or whose two
    ends share a table (tied): its gradient would have to be added up over two ranks.
    """

    def __init__(self, model: GPT, communicator: Communicator):
        shape, rank, ranks = model.shape, communicator.rank, communicator.size
        if shape.tied or shape.norm_place != "pre" or shape.positions != "learned":
            raise ValueError("Stage: give an untied model with pre-norm and learned positions")
        if not 1 <= ranks <= shape.n_layers:
            raise ValueError(f"Stage: {shape.n_layers} layers do not go over {ranks} ranks")
        self.model, self._communicator = model, communicator
        self.first, self.last = rank == 0, rank == ranks - 1
        ends = [k * shape.n_layers // ranks for k in range(ranks + 1)]
        self.blocks = range(ends[rank], ends[rank + 1])

    def forward(self, x: Any) -> Tensor:
        """ids (B, T) at the first stage, else (B, T, C) of the one before -> (B, T, C)."""
        if self.first:
            x = self.model.embed(x, np.arange(x.shape[1]))
        branch, stream = x, None
        for number in self.blocks:
            branch, stream = self.model.blocks[number](branch, stream)
        if self.last:
            return self.model.norm.add_norm(branch, stream)[0]
        return branch + stream

    def step(self, batches: Sequence[Any]) -> float | None:
        """Leave in this stage's parameters the gradient of the batches' mean loss.

        batches: of equal size, the same at all ranks: the first reads ids, the last targets.
        Returns the mean loss at the last stage, None elsewhere.
        """
        communicator, share = self._communicator, 1 / len(batches)
        total, kept, sent = 0.0, {}, list[Pending]()
        for what, i in one_forward_one_backward(communicator.rank, communicator.size, len(batches)):
            if what == FORWARD:
                x = batches[i].ids if self.first else self._received(batches[i], DOWN)
                y = self.forward(x)
                if self.last:
                    targets = batches[i].targets.reshape(-1)
                    y = self.model.loss_of(y.reshape(-1, y.shape[-1]), targets)
                    total += y.item() * share
                else:
                    sent.append(self._send(y.data, DOWN))
                kept[i] = x, y
            else:
                x, y = kept.pop(i)  # freed as soon as this pass is over
                if self.last:
                    y.backward(np.asarray(share, y.dtype))
                else:
                    y.backward(self._received(batches[i], UP).data)
                if not self.first:
                    assert x.grad is not None
                    sent.append(self._send(x.grad, UP))
        for pending in sent:
            communicator.wait(pending)
        return total if self.last else None

    def _send(self, array: np.ndarray, channel: int) -> Pending:
        """Begin to hand on activations (DOWN) or gradients (UP)."""
        to = self._communicator.rank + (1 if channel == DOWN else -1)
        return self._communicator.exchange(self._at(to, array), self._at(to, None), channel)

    def _received(self, batch: Any, channel: int) -> Tensor:
        """Wait for what the neighbour hands over: a leaf, whose gradient goes back to it."""
        shape = (*batch.ids.shape, self.model.shape.d_model)
        array = np.empty(shape, self.model.token_embedding.weight.dtype)
        source = self._communicator.rank - (1 if channel == DOWN else -1)
        self._communicator.wait(
            self._communicator.exchange(self._at(source, None), self._at(source, array), channel)
        )
        return Tensor(array, requires_grad=True)

    def _at(self, rank: int, array: np.ndarray | None) -> list[np.ndarray | None]:
        return [array if k == rank else None for k in range(self._communicator.size)]
