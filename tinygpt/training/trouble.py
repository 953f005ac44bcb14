"""Whether a step can be trusted: not a number, or far outside what the last steps looked like.

A batch of garbage or a rate that is too high shows first as a jump of the loss or of the gradient
norm. Such a step is skipped, which costs one batch; the update it would have made can cost the run.
Several in a row mean that the weights themselves are bad: the consumer goes back to a checkpoint.

A spike is judged by its z-score against the last WINDOW accepted steps, z = (x - mean) / deviation.
Both are taken on log x: losses and norms vary by factors, and norms have a long upper tail.

A rate that is too high need not jump: the loss can drift up a little at every step. `drifting`
compares the mean of the last RECENT steps with the lowest such mean so far.
"""

from __future__ import annotations

import math

from tinygpt.errors import UserError
from tinygpt.training.state import TrainState


class CannotGoOn(UserError):
    """What a step needs from elsewhere is not to be had: what was learned is saved, and it ends."""


WINDOW = 100  # steps that define what is usual
QUORUM = 30  # fewer than this and nothing is called unusual
Z_LIMIT = 6.0  # deviations above the mean
RECOVERY = 2 ** (1 / 200)  # growth of a lowered rate at each good step: it doubles in 200
RECENT, DRIFT = 30, 0.10  # steps in a mean, and the rise of it that is trouble
# Deviations (of the logarithm) assumed at least: a smooth run would otherwise call 2 % a spike.
LOSS_FLOOR, NORM_FLOOR = 0.03, 0.25


def judge_finite(state: TrainState, loss: float, norm: float) -> str | None:
    """The least that any training should refuse: a loss or gradient that is not a number."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not math.isfinite(norm):
        return f"the gradient norm is {norm}"
    return None


def judge_norms(state: TrainState, loss: float, norm: float) -> str | None:
    """Refuse also a gradient norm far above the recent ones; keep the windows in `state`.

    For losses of any sign, of which a jump says nothing: a policy gradient's is zero on average.
    Returns the reason in words, or None for a step to be made.
    """
    reason = judge_finite(state, loss, norm)
    if reason is None:
        reason = _spike("gradient norm", norm, state.norms, NORM_FLOOR)
    return _remember(state, loss, norm, reason)


def judge_spikes(state: TrainState, loss: float, norm: float) -> str | None:
    """Refuse also a loss, always positive, far above the recent ones; else as judge_norms."""
    reason = judge_finite(state, loss, norm)
    if reason is None:
        reason = _spike("loss", loss, state.losses, LOSS_FLOOR)
    if reason is None:
        reason = _spike("gradient norm", norm, state.norms, NORM_FLOOR)
    return _remember(state, loss, norm, reason)


def _remember(state: TrainState, loss: float, norm: float, reason: str | None) -> str | None:
    """Count a refused step, or enter a good one into what is usual.  Returns `reason`."""
    if reason is not None:
        state.skipped += 1
        state.skipped_in_a_row += 1
        return reason
    state.skipped_in_a_row = 0
    state.lr_scale = min(state.lr_ceiling, state.lr_scale * RECOVERY)
    for window, value in ((state.losses, loss), (state.norms, norm)):
        window.append(value)
        del window[:-WINDOW]
    if len(state.losses) >= RECENT:
        recent = sum(state.losses[-RECENT:]) / RECENT
        if state.low is None or recent < state.low:
            state.low, state.low_step = recent, state.step
    return None


def drifting(state: TrainState) -> str | None:
    """Why the last steps as a whole have gone the wrong way, in words, or None.

    A loss that is not always positive has no size that a rise could be large beside: None.
    """
    if state.low is None or len(state.losses) < WINDOW or min(*state.losses, state.low) <= 0:
        return None
    recent = sum(state.losses[-RECENT:]) / RECENT
    logs = [math.log(x) for x in state.losses]
    mean = sum(logs) / len(logs)
    noise = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs) / RECENT)
    if recent - state.low < 0.05 or recent < state.low * (1 + max(DRIFT, 8 * noise)):
        return None
    return (
        f"the loss has risen to {recent:.3f} over the last {RECENT} steps; at step "
        f"{state.low_step} it was {state.low:.3f}"
    )


def _spike(name: str, value: float, window: list[float], floor: float) -> str | None:
    if len(window) < QUORUM or value <= 0:
        return None
    logs = [math.log(max(x, 1e-30)) for x in window]
    mean = sum(logs) / len(logs)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
    z = (math.log(value) - mean) / max(deviation, floor)
    if z <= Z_LIMIT:
        return None
    usual = math.exp(mean)
    return f"the {name} jumped to {value:.3g} (usually about {usual:.3g}, z = {z:.0f})"
