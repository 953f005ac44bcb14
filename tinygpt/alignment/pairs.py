"""What a preference loss is told of a batch of pairs: two answers to a prompt, one of them chosen.

Read next: dpo.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigrad import Tensor
from tinygpt.alignment.scores import constant


class PairScores(NamedTuple):
    """Of B pairs.

    chosen, rejected: (B,) log-probabilities by the policy, summed over an answer's tokens.
    chosen_reference, rejected_reference: (B,) the reference's, which never change.
    chosen_tokens, rejected_tokens: (B,) how many tokens each answer has.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_reference: np.ndarray
    rejected_reference: np.ndarray
    chosen_tokens: np.ndarray
    rejected_tokens: np.ndarray

    @property
    def gains(self) -> tuple[Tensor, Tensor]:
        """(B,) log pi - log pi_ref of the chosen and the rejected answers."""
        return (
            self.chosen - constant(self.chosen_reference, self.chosen),
            self.rejected - constant(self.rejected_reference, self.rejected),
        )

    @property
    def margin(self) -> Tensor:
        """(B,) h: by how much more the policy has come to prefer the chosen answer."""
        chosen, rejected = self.gains
        return chosen - rejected

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """(B,) log-probabilities per token of the chosen and the rejected answers."""
        return (
            self.chosen / constant(self.chosen_tokens, self.chosen),
            self.rejected / constant(self.rejected_tokens, self.rejected),
        )
