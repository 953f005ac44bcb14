"""From a configuration, or from a run folder, to a Session that is ready to train.

    session = begin(load_config("S"), "run")      a new run
    session = resume("run")                       where it was left

Read next: session.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygpt.config import Change, Config, ConfigError, changes, find_objective
from tinygpt.runs.lock import sole_writer
from tinygpt.runs.run import Run, new_run
from tinygpt.storage.paths import expand
from tinygpt.training.group import ALONE, Group
from tinygpt.training.objective import Objective, Say
from tinygpt.training.schedule import continued, outlook
from tinygpt.training.session import Session


def begin(
    config: Config,
    out: str | Path,
    say: Say | None = None,
    approve: Callable[[Objective], Objective] | None = None,
    group: Group = ALONE,
) -> Session:
    """Prepare the data, make the run's folder and an untrained model.

    say: hears what takes time.
    approve: sees the objective before anything but its data is made; may return it under changed
        settings or raise.
    group: who trains it together, of whom this is the first.
    Raises UserError: no such text, too little of it, a folder that holds a run already ...
    """
    out = Path(expand(out))
    with new_run(out):
        objective: Objective = find_objective(config.objective).prepare(config, out, say)
        if approve is not None:
            objective = approve(objective)
        objective.config = group.cut(objective.config)
        run = Run.create(out, objective.config, objective.leave)
        group.invite(run.path, goes_on=False)
        return Session(run, objective, group)


def resume(
    out: str | Path, change: Callable[[Any], Any] | None = None, say: Say | None = None,
    group: Group = ALONE,
) -> Session:
    """Go on with a run from its newest undamaged checkpoint (from the start if it has none).

    change: makes the configuration that is wanted now from the run's own.
    say: hears what changed and which checkpoints are damaged.
    group: who goes on with it together, whoever trained it before.
    Raises UserError if the data is another, the changes cannot be made in mid-run, or another
    process trains it.
    """
    run = Run.open(out)
    with sole_writer(run.path):
        return _resume(run, change or (lambda own: own), say or (lambda text: None), group)


def _resume(run: Run, change: Callable[[Any], Any], say: Say, group: Group) -> Session:
    kind = find_objective(run.config.objective)
    saved = run.newest_good(say)
    step = saved.step if saved is not None else 0
    asked = group.cut(change(run.config))
    wanted = continued(run.config, kind.settled(run.config, asked), step)
    changed = changes(run.config, wanted)
    _check(run, changed, wanted.training.steps, step)
    for one in changed:
        if not one.key.startswith("training.cosine_"):  # `outlook` says it
            say(f"changed since the last session: {one}")
    objective = kind.reopen(run, say)
    run.config = objective.config = wanted
    if saved is not None:
        objective.check(saved)
    if changed and group.size > 1:
        run.write_config(wanted)  # the others read it
    group.invite(run.path, goes_on=saved is not None)
    session = Session(run, objective, group)
    if saved is not None:
        session.restore(saved)
    if changed:
        run.write_config(wanted)
    if saved is None:
        say("no checkpoint to go on from: training starts at step 0")
        return session
    for text in session.differences(saved):
        say(text)
    if group.told("forget" if changed else None):
        session.state.forget_usual()
        say(outlook(wanted.training, step, session.state.lr_scale))
    if step == wanted.training.steps and session.pending is None:
        say(f"all {step} steps are made. For more: --set training.steps={2 * step}")
    else:
        say(f"going on from step {step}")
    return session


def _check(run: Run, changed: list[Change], steps: int, made: int) -> None:
    """Raise ConfigError for changes that cannot be made in mid-run; nothing is written by then."""
    fixed = [str(one) for one in changed if not one.key.startswith("training.")]
    if fixed:
        raise ConfigError(
            f"{run.path} cannot go on with another {', '.join(fixed)}. Leave that as it was, or "
            "start a new run in another --out."
        )
    if made > steps:
        raise ConfigError(
            f"{run.path} has made {made} steps already, more than training.steps = {steps}. Ask "
            f"for more with --set training.steps={made + steps}, or leave the run as it is."
        )
