"""ORPO: fine-tuning on the chosen answers that turns away from the rejected ones, in one stage.

    loss = -log pi(w) / |w|  +  weight * -log sigma(log odds(w) - log odds(l))

    odds(y) = p / (1 - p),     log p = log pi(y) / |y|        the mean over tokens

The first part is supervised fine-tuning; no reference is needed, for it holds the policy where the
chosen answers are. The second is a ratio of odds and not of probabilities: where p is near 1 it is
steep, where p is small it is the ratio of probabilities.

    dlog odds / dlog p = 1 / (1 - p)

Source: Hong et al. 2024, eq. 6 to 8. Their fine-tuning part also learns the prompt; here, as in
finetuning, the answer alone.
Read next: kto.py.
"""

from __future__ import annotations

from minigrad import Tensor, ops
from tinygpt.alignment.pairs import PairScores


def orpo(pairs: PairScores, weight: float) -> Tensor:
    """(B,) losses.  weight: of the preference beside the fine-tuning."""
    chosen, rejected = pairs.means
    return ops.softplus(_log_odds(rejected) - _log_odds(chosen)) * weight - chosen


def _log_odds(x: Tensor) -> Tensor:
    """log(p / (1 - p)) of x = log p below 0; 1 - p = -expm1(x) keeps its digits near p = 1."""
    return x - ops.log(-ops.expm1(x))
