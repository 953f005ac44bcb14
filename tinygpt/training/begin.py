"""From a configuration, or from a run folder, to a Session that is ready to train.

    session = begin(load_config("S"), "run")      a new run
    session = resume("run")                       where it was left

Read next: session.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygpt.config import Config, ConfigError, changes, find_objective
from tinygpt.runs.run import Run, check_is_free
from tinygpt.storage.paths import expand
from tinygpt.training.objective import Objective, Say
from tinygpt.training.session import Session


def begin(
    config: Config,
    out: str | Path,
    say: Say | None = None,
    approve: Callable[[Objective], Objective] | None = None,
) -> Session:
    """Prepare the data, make the run's folder and an untrained model.

    say: hears what takes time.
    approve: sees the objective before anything but its data is made; may return it under changed
        settings or raise.
    Raises UserError: no such text, too little of it, a folder that holds a run already ...
    """
    out = Path(expand(out))
    check_is_free(out)  # before the data is prepared, which takes a while
    objective: Objective = find_objective(config.objective).prepare(config, out, say)
    if approve is not None:
        objective = approve(objective)
    return Session(Run.create(out, objective.config, objective.leave), objective)


def resume(
    out: str | Path, change: Callable[[Any], Any] | None = None, say: Say | None = None
) -> Session:
    """Go on with a run from its newest undamaged checkpoint (from the start if it has none).

    change: makes the configuration that is wanted now from the run's own.
    say: hears what changed and which checkpoints are damaged.
    Raises UserError if the data is another or the changes cannot be made in mid-run.
    """
    say = say or (lambda text: None)
    run = Run.open(out)
    kind = find_objective(run.config.objective)
    wanted = kind.settled(run.config, change(run.config) if change else run.config)
    changed = changes(run.config, wanted)
    fixed = [str(one) for one in changed if not one.key.startswith("training.")]
    if fixed:
        raise ConfigError(
            f"{run.path} cannot go on with another {', '.join(fixed)}. Leave that as it was, or "
            "start a new run in another --out."
        )
    for one in changed:
        say(f"changed since the last session: {one}")
    objective = kind.reopen(run, say)
    if changed:
        run.write_config(wanted)
        objective.config = wanted
    session = Session(run, objective)
    saved = run.newest_good(say)
    if saved is None:
        say("no checkpoint to go on from: training starts at step 0")
    else:
        session.check_data(saved)
        session.restore(saved)
        if changed:
            session.state.forget_usual()
        for text in session.differences(saved):
            say(text)
        say(f"going on from step {saved.step}")
    return session
