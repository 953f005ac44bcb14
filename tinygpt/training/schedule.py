"""The learning rate of every step, also of a run that goes on under another recipe.

A run that goes its way has one warm-up and half a cosine (minigrad/optim/schedule.py). What if
--resume asks for more steps, at step a, where the rate was r? The cosine over the new number of
steps is higher at a: at the end of the old one the rate would jump from min_lr to nearly lr, and
the loss with it. So the rest of the way gets a cosine of its own, from where the rate was:

    rate(t) = min_lr + (r - min_lr) (1 + cos(pi (t - a) / (steps - a))) / 2        for t >= a

At t = a this is r, with a slope of 0; it never rises, and ends at min_lr. After the old end r is
min_lr already, and the rate stays there: what was settled stays settled. Who wants more of it asks
for another beginning, --set training.cosine_lr=0.003 (a warm restart, Loshchilov and Hutter 2017).

The same holds for another min_lr, for fewer steps, and for another lr: r is then scaled by the
ratio of the two. a and r are kept in the run's configuration (cosine_step, cosine_lr), so that
stopping and resuming once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from minigrad import optim
from tinygpt.config import Config, TrainingConfig

SHAPES = ("steps", "lr", "min_lr", "warmup_steps")  # settings that the schedule is made of

C = TypeVar("C", bound=Config)


def schedule_of(recipe: TrainingConfig) -> Callable[[int], float]:
    """Rate of step 0, 1, ... under a recipe."""
    if recipe.cosine_step is None or recipe.cosine_lr is None:
        return optim.warmup_cosine(recipe.lr, recipe.min_lr, recipe.warmup_steps, recipe.steps)
    start, end = recipe.cosine_step, max(recipe.steps, recipe.cosine_step + 1)
    rest = optim.warmup_cosine(recipe.cosine_lr, recipe.min_lr, 0, end - start)
    return lambda step: rest(max(step - start, 0))


def continued(own: C, wanted: C, step: int) -> C:
    """`wanted` for a run configured as `own` that has made `step` steps: no rate jumps up."""
    old, new = own.training, wanted.training
    asked = new.cosine_lr if new.cosine_lr != old.cosine_lr else None
    same = all(getattr(old, name) == getattr(new, name) for name in SHAPES)
    if asked is None and (same or step < old.warmup_steps):
        return wanted.replace("training", cosine_step=old.cosine_step, cosine_lr=old.cosine_lr)
    rate = schedule_of(old)(step) * (new.lr / old.lr if old.lr else 1.0)
    return wanted.replace(
        "training", cosine_step=step, cosine_lr=max(rate if asked is None else asked, new.min_lr)
    )


def outlook(recipe: TrainingConfig, step: int, scale: float = 1.0) -> str:
    """What the rate will do from `step` on, in a sentence.  scale: the state's lr_scale."""
    now, end = schedule_of(recipe)(step) * scale, recipe.min_lr * scale
    if now > end or step >= recipe.steps:
        return f"the rate goes on from {now:.2g} and comes to {end:.2g} at step {recipe.steps}"
    return (
        f"the rate has come to its end, {end:.2g}, and stays there up to step {recipe.steps}; to "
        f"raise it once more, --set training.cosine_lr={recipe.lr / 3:.1g}"
    )
