"""The trainer: the loop's consumer. It evaluates, saves, samples, tells and handles trouble.

    outcome = Trainer(begin(config, "run"), [make_view()]).run()

What is learned is the session's objective's business; this file knows none.

Read next: session.py (what it drives), watch.py (whom it tells).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from tinygpt.errors import UserError
from tinygpt.machine.manners import PauseWhile
from tinygpt.machine.signals import Stopped, StopSignals
from tinygpt.runs.lock import sole_writer
from tinygpt.runs.metrics import StepMetrics
from tinygpt.training.deadline import Deadline
from tinygpt.training.loop import train
from tinygpt.training.session import Session
from tinygpt.training.trouble import CannotGoOn
from tinygpt.training.watch import HistoryFiles, LogFile, MetricsFile, SamplesFile, Watcher

PATIENCE = 5  # skipped steps in a row before going back to a checkpoint
RATE_AFTER_ROLLBACK = 0.5  # factor on the learning rate
MAX_ROLLBACKS = 5  # without a new checkpoint in between: then something else is wrong
SAVING = 0.02  # share of the time that checkpoints by time may take
STEPPING = "the step that was begun is being finished"


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    step: steps made.  stopped: None when complete, else why not.  interrupted: by a signal.
    val_loss: on all that was held out, None if not complete or nothing was.
    saved: whether the last step is on the disk.  best_loss: lowest of the evaluations on the way.
    """

    step: int
    stopped: str | None
    interrupted: bool
    val_loss: float | None
    best_loss: float | None
    saved: bool


class Trainer:
    """One training from where `session` stands to its last step."""

    def __init__(
        self,
        session: Session,
        watchers: Sequence[Watcher] = (),
        stops: Sequence[Callable[[], str | None]] = (),
        pauses: Sequence[PauseWhile] = (),
        deadline: Deadline | None = None,
    ):
        """watchers: told what happens, before the run's own files are written.

        stops: asked after each step for a reason to save and stop; pauses: may wait there.
        deadline: decides then how many steps there are.
        """
        self.session, self.stops, self.pauses = session, stops, pauses
        self.deadline = deadline
        self.watchers: list[Watcher] = list(watchers)
        if session.group.rank == 0:
            self.watchers += self._files()
        self._signals = StopSignals(self._explain)
        self._doing = STEPPING
        self._saved_step: int | None = None
        self._saved_at, self._save_seconds = time.monotonic(), 0.0
        self._rollbacks_here = 0
        self._val_loss: float | None = None

    def _files(self) -> list[Watcher]:
        """The run's own."""
        folder = self.session.run.path
        files: list[Watcher] = [
            MetricsFile(folder / "metrics.jsonl", self._warn),
            SamplesFile(folder / "samples.jsonl", self._warn),
            LogFile(folder / "log.txt", self._warn),
        ]
        if every := self.session.config.training.history_every:
            files.append(HistoryFiles(folder, every, self._warn))
        return files

    def run(self) -> Outcome:
        """Train to the end, or until a signal or a stop asks to save and leave.

        Raises UserError when training cannot go on (no number in the loss from the first step), or
        another process trains this run.
        """
        with sole_writer(self.session.run.path) as locked:
            self._tell("start", self.session)
            try:
                if not locked:
                    self._warn("this system cannot lock the run's folder: start no second training")
                return self._run()
            finally:
                self._tell("close")

    def _run(self) -> Outcome:
        state = self.session.state
        self._saved_at = time.monotonic()
        with self._signals as signals:
            try:
                stopped = self._train(signals)
            except CannotGoOn:
                if self.session.group.size == 1:  # the others may be elsewhere in their step
                    self._save(scheduled=False)
                raise
            saved = self._saved_step == state.step or self._save(scheduled=stopped is None)
        if stopped:
            self._event("stop", f"stopped by {stopped} at step {state.step}")
        return Outcome(
            state.step, stopped, stopped is not None and stopped == signals.received,
            self._val_loss, state.best_loss, saved,
        )

    def _train(self, signals: StopSignals) -> str | None:
        """All the steps that are left.  Returns why it stopped before the end, or None."""
        session = self.session
        for metrics in self._steps():
            self._hold_deadline(metrics.step)
            try:
                val_loss, due = self._after_step(metrics)
            except Stopped:  # evaluated, written about and told after --resume
                session.pending = metrics
                return signals.received
            session.pending = None
            self._tell("step", metrics, val_loss)
            if due or self._agree("save" if self._long_unsaved() else None):
                self._save(scheduled=due)  # the line first: a kill between them loses neither
            stopped = self._stop_or_pause(signals)
            if stopped is not None:
                return stopped
            self._doing = STEPPING
        return None

    def _steps(self) -> Iterator[StepMetrics]:
        session = self.session
        if session.pending is not None:
            yield session.pending
        objective = session.objective
        while session.state.step < session.config.training.steps:
            recipe = session.config.training
            for metrics in train(
                session.model, session.batches, objective.loss, session.optimizer,
                session.schedule, session.state, steps=recipe.steps,
                accumulation=recipe.accumulation, clip=recipe.clip, judge=objective.judge,
                group=session.group,
            ):
                yield metrics
                if session.config.training is not recipe:  # there are more steps now, or fewer
                    break

    def _hold_deadline(self, step: int) -> None:
        """More steps or fewer, as the time that is left allows."""
        if self.deadline is None:
            return
        steps = self.deadline.steps(step, self.session.config.training.steps)
        try:
            self.session.make_steps(steps)
        except UserError as error:  # --resume would make another number of steps, and no more
            self._warn(str(error))

    def _after_step(self, metrics: StepMetrics) -> tuple[float | None, bool]:
        """What happens between two steps.

        Returns (validation loss if measured, whether the recipe asks for a checkpoint).
        Raises Stopped if a signal cut it short; then nothing but best_loss has changed.
        """
        step, recipe = metrics.step, self.session.config.training
        if metrics.skipped:
            self._skipped(metrics)
            return None, False
        rising = self.session.objective.drifting(self.session.state)
        if rising is not None:
            self._roll_back(rising)
            return None, False
        last = step == recipe.steps
        val_loss = None
        if last or (recipe.eval_every and step % recipe.eval_every == 0):
            self.session.group.meet()
            val_loss = self._evaluate(whole=last)
        improved = val_loss is not None and self.session.state.best_step == step
        every = recipe.checkpoint_every
        due = last or improved or (every is not None and step % every == 0)
        if recipe.sample_every and (last or step % recipe.sample_every == 0):
            with self._cut_short():
                text = self.session.objective.write(self.session.model, step)
            if text is not None:
                self._tell("sample", step, text)
        return val_loss, due

    def _evaluate(self, whole: bool) -> float | None:
        state, recipe = self.session.state, self.session.config.training
        limit = None if whole else recipe.eval_tokens
        self._tell("busy", f"measuring {'all ' if whole else ''}held-out text")
        with self._cut_short():
            loss = self.session.objective.evaluate(self.session.model, limit)
        loss = json.loads(self.session.group.told(json.dumps(loss)) or "null")
        if loss is not None and np.isfinite(loss):
            if whole:
                self._val_loss = loss
            if state.best_loss is None or loss < state.best_loss:
                state.best_loss, state.best_step = loss, state.step
        return loss

    def _cut_short(self) -> AbstractContextManager[None]:
        """What a signal may cut short: not where others would wait for the rest of it."""
        return self._signals.at_once() if self.session.group.size == 1 else nullcontext()

    def _long_unsaved(self) -> bool:
        """Whether a checkpoint is due by time: they come more rarely where saving takes long."""
        every = self.session.config.training.checkpoint_seconds
        since = time.monotonic() - self._saved_at
        return every is not None and since >= max(every, self._save_seconds / SAVING)

    def _save(self, scheduled: bool) -> bool:
        """Checkpoint; a disk that refuses costs a warning, never the training."""
        self._tell("busy", "saving")
        self._doing = "a checkpoint is being written"
        started = time.monotonic()
        try:
            self.session.save(scheduled)
        except OSError as error:
            self._warn(
                f"no checkpoint at step {self.session.state.step}: {error.strerror or error}. "
                "The earlier ones are intact; training goes on. Free some space."
            )
            return False
        finally:
            self._saved_at = time.monotonic()
            self._save_seconds = self._saved_at - started
        self._saved_step = self.session.state.step
        self._rollbacks_here = 0
        return True

    def _skipped(self, metrics: StepMetrics) -> None:
        state = self.session.state
        self._event("skip", f"step {metrics.step} skipped: {metrics.skipped}")
        if state.skipped_in_a_row >= PATIENCE:
            self._roll_back(f"{PATIENCE} bad steps in a row")

    def _roll_back(self, why: str) -> None:
        """Return to the last good checkpoint, past the bad stretch of data, at a lower rate.

        Good means undamaged, and from when the loss was still low.
        """
        session, state = self.session, self.session.state
        group, saved = session.group, None
        if group.rank == 0:
            saved = (
                session.run.newest_good(self._warn, before=state.low_step + 1, scheduled=True)
                or session.run.newest_good(scheduled=True)
                or session.run.newest_good()
            )
        at = group.told(str(saved.step) if saved is not None else None)
        self._rollbacks_here += 1
        if at is None or self._rollbacks_here > MAX_ROLLBACKS:
            tried = ", after several returns to a checkpoint" if at is not None else ""
            lower = self.session.config.training.lr / 4
            raise UserError(
                f"training fails at step {state.step}: {why}{tried}. Lower the rate, for example "
                f"with --set training.lr={lower:.1e}, or look for damage in the data."
            )
        where, scale, rollbacks = state.step, state.lr_scale, state.rollbacks + 1
        ceiling, skipped = state.lr_ceiling, state.skipped
        session.restore(saved, with_data=False)
        state.lr_scale = min(scale, state.lr_scale) * RATE_AFTER_ROLLBACK
        # The first time the data may be to blame and the rate climbs back; later it stays low.
        state.lr_ceiling = ceiling if rollbacks == 1 else state.lr_scale
        state.rollbacks, state.skipped, state.skipped_in_a_row = rollbacks, skipped, 0
        self._event(
            "rollback",
            f"{why}: back from step {where} to the checkpoint of step {at}, past that "
            f"stretch of data, at {state.lr_scale:.2g} of the rate",
        )

    def _stop_or_pause(self, signals: StopSignals) -> str | None:
        """Why to save and leave now, or None; waits while a pause asks for it."""

        def asked() -> str | None:
            return signals.received or next((why for stop in self.stops if (why := stop())), None)

        if self.session.state.step == self.session.config.training.steps:
            return None
        for pause in self.pauses:
            pause(lambda text: self._event("pause", text), lambda: asked() is not None)
        return self._agree(asked())

    def _agree(self, reason: str | None) -> str | None:
        """What a clock or a signal asks for at any rank: a group does it together."""
        return self.session.group.agree(reason)

    def _explain(self, signal: str) -> None:
        """Heard from another thread when a stop takes a while."""
        self._tell("stopping", f"{signal}: {self._doing}, then all is saved; again to leave now")

    def _event(self, kind: str, text: str) -> None:
        self._tell("event", self.session.state.step, kind, text)

    def _warn(self, text: str) -> None:
        self._event("warning", text)

    def _tell(self, what: str, *arguments: object) -> None:
        for watcher in list(self.watchers):
            try:
                getattr(watcher, what)(*arguments)
            except UserError:  # something to be mended before training can begin
                raise
            except Exception as error:  # whoever looks on never stops a training
                self.watchers.remove(watcher)
                self._warn(
                    f"{type(watcher).__name__} failed ({type(error).__name__}: {error}) and is "
                    "left out from now on; training goes on"
                )
