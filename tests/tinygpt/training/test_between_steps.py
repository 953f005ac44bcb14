"""What the trainer does between two steps, seen on an objective whose every answer is written down.

Nothing is learned here: losses, evaluations and samples come from tables, by step.
"""

import contextlib
import json
from types import SimpleNamespace

import pytest

import tests.tinygpt.training.objectives  # noqa: F401  # it enters them into the table
from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.training import trainer as trainers
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer
from tinygpt.training.watch import Watcher

RECIPE = {
    "steps": 10, "batch_size": 2, "warmup_steps": 0, "lr": 1e-3, "min_lr": 1e-3,
    "eval_every": None, "eval_tokens": 500, "checkpoint_every": None, "checkpoint_seconds": None,
    "sample_every": None,
}


class Ears(Watcher):
    """Keeps all that it is told, as (what, step or text ...)."""

    def __init__(self):
        self.heard = []

    def __getattribute__(self, name):
        if name not in ("start", "step", "sample", "event", "busy", "stopping", "close"):
            return super().__getattribute__(name)
        return lambda *arguments: self.heard.append((name, *arguments))

    def all(self, name):
        return [arguments for what, *arguments in self.heard if what == name]

    def events(self):
        return [(step, kind) for step, kind, _ in self.all("event")]


class Played:
    """A session whose answers are given, its trainer, and what was asked of it.

    evaluations, samples: step -> answer.  refused: steps whose update is not trusted, once.
    """

    def __init__(self, path, evaluations=None, samples=None, refused=(), **recipe):
        config = from_dict({"objective": "regression", "training": {**RECIPE, **recipe}})
        self.session = session = begin(config, path)
        self.path, self.ears = path, Ears()
        self.evaluated, self.written, self.saved = [], [], []
        objective, real_judge, bad = session.objective, session.objective.judge, set(refused)

        def evaluate(model, limit=None):
            self.evaluated.append((session.state.step, limit))
            return (evaluations or {}).get(session.state.step)

        def write(model, step):
            self.written.append(step)
            return (samples or {}).get(step)

        def judge(state, loss, norm):
            if state.step + 1 not in bad:
                return real_judge(state, loss, norm)
            bad.discard(state.step + 1)
            state.skipped += 1
            state.skipped_in_a_row += 1
            return "the test"

        def save(scheduled=True, real=session.save):
            self.saved.append((session.state.step, scheduled))
            return real(scheduled)

        objective.evaluate, objective.write, objective.judge = evaluate, write, judge
        session.save = save

    def run(self, **asked):
        self.trainer = Trainer(self.session, [self.ears], **asked)
        return self.trainer.run()

    def stop_at(self, *steps):
        return [lambda: "the test" if self.session.state.step in steps else None]


@pytest.fixture
def play(tmp_path):
    return lambda **given: Played(tmp_path / "run", **given)


# Evaluations, samples, checkpoints.


def test_it_is_evaluated_every_so_many_steps_and_at_the_end_on_everything(play):
    played = play(eval_every=4, evaluations={4: 2.0, 8: 1.5, 10: 1.25})
    outcome = played.run()
    assert played.evaluated == [(4, 500), (8, 500), (10, None)]
    assert (outcome.step, outcome.stopped, outcome.interrupted) == (10, None, False)
    assert (outcome.val_loss, outcome.best_loss, outcome.saved) == (1.25, 1.25, True)
    lines = metrics_files.read(played.path / "metrics.jsonl")
    assert {m["step"]: m["val_loss"] for m in lines if "val_loss" in m} == {4: 2, 8: 1.5, 10: 1.25}
    busy = [text for (text,) in played.ears.all("busy")]
    assert busy[0] == "measuring held-out text" and "saving" in busy
    assert busy[-2:] == ["measuring all held-out text", "saving"]


def test_without_a_number_of_steps_it_is_evaluated_at_the_end_only(play):
    played = play(evaluations={10: 1.25})
    assert played.run().val_loss == 1.25
    assert played.evaluated == [(10, None)] and played.written == []


def test_the_best_evaluation_is_the_first_lowest_one(play):
    played = play(eval_every=2, evaluations={2: 2.0, 4: 1.5, 6: 1.5, 8: float("nan"), 10: 3.0})
    outcome = played.run()
    assert (played.session.state.best_loss, played.session.state.best_step) == (1.5, 4)
    assert (outcome.val_loss, outcome.best_loss) == (3.0, 1.5)
    assert played.saved == [(2, True), (4, True), (10, True)]  # where it improved, and the end


def test_what_cannot_be_evaluated_has_no_loss(play, tmp_path):
    outcome = play(eval_every=2).run()
    assert (outcome.val_loss, outcome.best_loss) == (None, None)
    nan = Played(tmp_path / "nan", evaluations={10: float("inf")})
    assert nan.run().val_loss is None and nan.session.state.best_step is None


def test_a_sample_is_written_every_so_many_steps_and_at_the_end(play):
    played = play(sample_every=4, samples={4: "four", 10: "ten"})
    played.run()
    assert played.written == [4, 8, 10]
    assert played.ears.all("sample") == [[4, "four"], [10, "ten"]]
    lines = (played.path / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4, 10]


def test_checkpoints_come_every_so_many_steps_and_at_the_end_once(play):
    played = play(checkpoint_every=5)
    assert played.run().saved and played.saved == [(5, True), (10, True)]


def test_a_stop_saves_beside_the_recipe_and_says_why(play):
    played = play(checkpoint_every=5)
    outcome = played.run(stops=played.stop_at(7))
    assert (outcome.step, outcome.stopped, outcome.interrupted) == (7, "the test", False)
    assert outcome.saved and outcome.val_loss is None
    assert played.saved == [(5, True), (7, False)]
    assert played.ears.all("event") == [[7, "stop", "stopped by the test at step 7"]]
    played.saved.clear()
    outcome = played.run(stops=played.stop_at(10))  # the last step is an end, not a stop
    assert outcome.stopped is None and played.saved == [(10, True)]


def test_a_stop_where_the_recipe_has_just_saved_saves_no_more(play):
    played = play(checkpoint_every=5)
    assert played.run(stops=played.stop_at(5)).saved and played.saved == [(5, True)]


def test_a_checkpoint_is_due_by_time_and_costs_at_most_a_fiftieth(play, monkeypatch):
    played = play(checkpoint_seconds=60)
    trainer, clock = Trainer(played.session), SimpleNamespace(now=1000.0)
    monkeypatch.setattr(trainers, "time", SimpleNamespace(monotonic=lambda: clock.now))
    trainer._saved_at = 1000.0
    for now, due in ((1059.9, False), (1060.0, True)):
        clock.now = now
        assert trainer._long_unsaved() == due

    def slow(scheduled):
        clock.now += 2.0

    played.session.save = slow
    assert trainer._save(scheduled=False) is True  # took 2 seconds: the next is due after 100
    saved = clock.now
    for later, due in ((99.9, False), (100.0, True)):
        clock.now = saved + later
        assert trainer._long_unsaved() == due


def test_a_disk_that_refuses_costs_a_warning_and_the_outcome_says_so(play):
    played = play(checkpoint_every=5)

    def refuse(scheduled=True):
        raise OSError(28, "No space left on device")

    played.session.save = refuse
    outcome = played.run()
    assert outcome.step == 10 and outcome.saved is False
    assert played.ears.events() == [(5, "warning"), (10, "warning"), (10, "warning")]
    assert "no checkpoint at step 5: No space left on device." in played.ears.all("event")[0][2]


# Trouble.


def with_checkpoints(played, steps, stops=()):
    """Train to the last of the steps, saving after each; those of `stops` are no scheduled ones."""
    for step in sorted({*steps, *stops}):
        real = played.session.state.step
        assert step > real
        Trainer(played.session, stops=played.stop_at(step)).run()
        played.session.save(scheduled=step not in stops)
    played.saved.clear()
    return Trainer(played.session, [played.ears])


def test_a_skipped_step_is_told_and_five_in_a_row_go_back(play):
    played = play(refused={4, 5, 6, 7, 8}, checkpoint_every=3, evaluations={10: 1.0}, eval_every=4)
    outcome = played.run()
    assert outcome.step == 10 and played.session.state.skipped == 5
    events = played.ears.all("event")
    assert events[0] == [4, "skip", "step 4 skipped: the test"]
    assert [kind for _, kind, _ in events[:6]] == ["skip"] * 5 + ["rollback"]
    assert events[5][2] == (
        "5 bad steps in a row: back from step 8 to the checkpoint of step 3, past that stretch of "
        "data, at 0.5 of the rate"
    )


def test_four_skipped_steps_in_a_row_are_passed_over(play):
    played = play(refused={2, 3, 4, 5, 7}, eval_every=5, checkpoint_every=5)
    assert played.run().step == 10
    assert played.ears.events() == [(step, "skip") for step in (2, 3, 4, 5, 7)]
    assert played.evaluated == [(10, None)] and played.saved == [(10, True)]  # not after a skip
    assert played.session.state.rollbacks == 0


@pytest.mark.parametrize(
    ("low_step", "steps", "stops", "back"),
    [
        (4, (4, 5), (), 4),  # saved at the lowest: good
        (3, (3, 4), (), 3),
        (2, (3, 4), (), 4),  # none is that old: the newest
        (9, (4,), (6,), 4),  # not where somebody stopped
        (2, (4,), (6,), 4),  # nor then
        (3, (), (6,), 6),  # but rather there than nowhere
    ],
)
def test_a_rollback_goes_to_the_newest_scheduled_checkpoint_of_low_loss(
    play, low_step, steps, stops, back
):
    played = play()
    trainer = with_checkpoints(played, steps, stops)
    played.session.state.low_step = low_step
    place = json.dumps(played.session.batches.state_dict())
    trainer._roll_back("the test")
    assert played.session.state.step == back
    assert json.dumps(played.session.batches.state_dict()) == place


def test_the_first_rollback_lowers_the_rate_for_a_while_and_the_second_for_good(play):
    played = play()
    trainer = with_checkpoints(played, (4,))
    state = played.session.state
    state.skipped = 7
    trainer._roll_back("the test")
    assert (state.lr_scale, state.lr_ceiling, state.rollbacks) == (0.5, 1.0, 1)
    assert (state.skipped, state.skipped_in_a_row) == (7, 0)
    state.lr_scale = 0.8  # it has climbed
    trainer._roll_back("the test")
    assert (state.lr_scale, state.lr_ceiling, state.rollbacks) == (0.4, 0.4, 2)
    played.session.save()
    state.lr_scale = 1.0
    trainer._roll_back("the test")
    assert state.lr_scale == 0.2  # half of the checkpoint's own, which is lower


def test_five_rollbacks_without_a_new_checkpoint_are_enough(play):
    played = play(lr=8e-3)
    trainer = with_checkpoints(played, (4,))
    for _ in range(5):
        trainer._roll_back("the test")
    with pytest.raises(UserError, match=r"step 4: the test, after several returns.*lr=2\.0e-03"):
        trainer._roll_back("the test")
    assert trainer._save(scheduled=True)
    for _ in range(5):
        trainer._roll_back("the test")


def test_without_a_checkpoint_there_is_no_way_back(play):
    with pytest.raises(UserError, match=r"fails at step 0: the test\. Lower the rate"):
        Trainer(play().session)._roll_back("the test")


def test_a_drift_goes_back_and_nothing_else_is_done_after_that_step(play):
    played = play(checkpoint_every=3, sample_every=5, eval_every=5)
    drifted = []

    def drifting(state):
        if state.step == 5 and not drifted:
            drifted.append(True)
            return "it drifts"
        return None

    played.session.objective.drifting = drifting
    assert played.run().step == 10
    assert played.ears.events() == [(3, "rollback")]
    assert played.written == [5, 10] and [step for step, _ in played.evaluated] == [5, 10]
    assert [step for step, _ in played.saved] == [3, 6, 9, 10]


# Whom it tells, and who may hold it up.


def test_watchers_hear_the_start_every_step_and_the_end(play):
    played = play(steps=3)
    played.run()
    heard = [what for what, *_ in played.ears.heard if what != "busy"]
    assert heard == ["start", "step", "step", "step", "close"]
    assert played.ears.all("start") == [[played.session]]
    assert [metrics.step for metrics, _ in played.ears.all("step")] == [1, 2, 3]


def test_watchers_hear_the_end_of_a_training_that_fails(play):
    played = play(refused=range(20))
    with pytest.raises(UserError, match="5 bad steps in a row"):
        played.run()
    assert played.ears.heard[-1] == ("close",)


def test_a_folder_that_cannot_be_locked_is_worth_a_warning(play, monkeypatch, tmp_path):
    played = play()
    played.run()
    assert played.ears.events() == []
    monkeypatch.setattr(trainers, "sole_writer", lambda path: contextlib.nullcontext(False))
    unlocked = Played(tmp_path / "unlocked")
    unlocked.run()
    ((_, kind, text),) = unlocked.ears.all("event")
    assert kind == "warning" and "cannot lock the run's folder" in text


class Picky(Watcher):
    """Raises when it is told of a step."""

    def __init__(self, error):
        self.error, self.told = error, 0

    def step(self, metrics, val_loss):
        self.told += 1
        raise self.error


def test_a_watcher_that_fails_is_left_out_and_one_that_must_be_mended_is_not(play):
    played = play()
    broken = Picky(RuntimeError("out of ink"))
    trainer = Trainer(played.session, [broken, played.ears])
    assert trainer.run().step == 10 and broken.told == 1
    ((step, kind, text),) = played.ears.all("event")
    assert (step, kind) == (1, "warning") and "Picky failed (RuntimeError: out of ink)" in text
    with pytest.raises(UserError, match="mend me"):
        Trainer(played.session, [Picky(UserError("mend me"))])._tell("step", None, None)


def test_a_pause_is_asked_after_each_step_but_the_last_and_may_be_ended_by_a_stop(play):
    played, asked = play(steps=4), []

    def pause(say, ended):
        asked.append((played.session.state.step, ended()))
        say("waiting for the mains")

    stops = played.stop_at(2)
    assert played.run(pauses=[pause], stops=stops).step == 2
    assert asked == [(1, False), (2, True)]
    assert played.ears.all("event")[0] == [1, "pause", "waiting for the mains"]
    assert played.run(pauses=[pause]).step == 4
    assert asked[2:] == [(3, False)]


def test_a_signal_is_answered_with_what_is_being_done(play):
    played = play()
    trainer = Trainer(played.session, [played.ears])
    trainer._explain("Ctrl-C")
    during = []

    def save(scheduled):
        trainer._explain("Ctrl-C")
        during.append(checkpoints.listed(played.session.run.checkpoints))

    played.session.save = save
    trainer._save(scheduled=True)
    first, second = (text for (text,) in played.ears.all("stopping"))
    assert first == (
        "Ctrl-C: the step that was begun is being finished, then all is saved; again to leave now"
    )
    assert second.startswith("Ctrl-C: a checkpoint is being written, then") and during == [[]]
