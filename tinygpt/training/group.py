"""Who makes a step together: the seam between the one loop and several machines.

Every process of a group runs the same loop over the same batches in the same order. It works on its
share of them, and from then on all hold the same sums; so everything that is decided by numbers is
decided alike by all, and what is decided by a clock or a signal is agreed upon. The process of rank
0 owns the run's folder: it alone writes and speaks.

This class is a group of one, of which nothing is asked. The others: ../distributed/ranks.py.

Read next: step.py, loop.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import optim
from tinygpt.training.step import Gathered, Loss, gradients, gradients_in_pairs

if TYPE_CHECKING:
    from tinygpt.training.session import Session

OUTER = "outer."  # begins names in a saved state that only some groups have a use for


class Group:
    """One process that trains alone.

    rank, size: this one's number, and how many there are.
    """

    rank, size = 0, 1

    def cut(self, config: Any) -> Any:
        """`config` with as many batches in a step as there are ranks, at least."""
        return config

    def invite(self, folder: Path, goes_on: bool) -> None:
        """A run's folder is there: the others can begin too.  goes_on: from a checkpoint."""

    def attach(self, session: Session) -> Group:
        """The group that trains a session: what all of it have alike has been seen to."""
        return InTurn() if session.config.training.sum_order == "turn" else self

    def close(self) -> None:
        """Training has ended at all ranks."""

    def own_stream(self, rng: np.random.Generator) -> None:
        """Let this rank draw dropout that no other draws."""

    # A step.

    def gradients(
        self, model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer
    ) -> Gathered:
        """As step.gradients, of all `batches`, whoever works on them."""
        return gradients_in_pairs(model, batches, loss, optimizer)

    def norm(self, optimizer: optim.Optimizer) -> float:
        """The global norm of the gradients."""
        return optim.global_norm(optimizer.parameters())

    def updated(self) -> None:
        """The optimizer has made its step."""

    # Between steps.

    def meet(self) -> None:
        """Have all ranks hold the same weights, where they may differ between steps."""

    def agree(self, text: str | None) -> str | None:
        """What the first rank says that says anything: the same for all."""
        return text

    def told(self, text: str | None) -> str | None:
        """What rank 0 says: the same for all."""
        return text

    # Checkpoints.

    def optimizer_state(self, optimizer: optim.Optimizer) -> Mapping[str, np.ndarray] | None:
        """Its whole state for a checkpoint; None at those that write none."""
        return optimizer.state_dict()

    def load_optimizer(
        self, optimizer: optim.Optimizer, tensors: Mapping[str, np.ndarray] | None
    ) -> None:
        """Take up a saved state.  tensors: what the checkpoint holds, at rank 0."""
        assert tensors is not None
        optimizer.load_state_dict(
            {name: array for name, array in tensors.items() if not name.startswith(OUTER)}
        )

    def spread(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Make rank 0's values everybody's, in place."""


class InTurn(Group):
    """One process whose gradients are added one after the other."""

    def gradients(
        self, model: Any, batches: Sequence[Any], loss: Loss, optimizer: optim.Optimizer
    ) -> Gathered:
        return gradients(model, batches, loss, optimizer)


ALONE = Group()
