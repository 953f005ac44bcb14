"""Stopped in evaluation, in a sample, between: what was cut short is caught up on, to the bit."""

import dataclasses
import os
import signal
import threading
import time

import pytest

from tests.tinygpt.training.test_trainer import (
    Ears,
    Stop,
    final_bytes,
    losses,
    start,
    wait_for,
    write_toml,
)
from tinygpt.config import ConfigError
from tinygpt.errors import UserError
from tinygpt.machine.signals import Stopped, StopSignals
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.training import trainer as trainers
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer


@pytest.fixture
def config(tiny_config):
    return tiny_config.replace("training", sample_every=20)


def interrupt_in(session, name, step):
    """Ctrl-C comes inside objective.<name> after `step` steps."""
    real = getattr(session.objective, name)

    def called(*args):
        if session.state.step == step:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10**6):  # the handler runs between two instructions
                pass
            raise AssertionError("went on after the signal")
        return real(*args)

    setattr(session.objective, name, called)


def samples(path):
    return (path / "samples.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "step"), [("evaluate", 20), ("evaluate", 30), ("write", 20), ("evaluate", 40)]
)
def test_what_a_signal_cut_short_is_caught_up_on(config, tmp_path, name, step):
    Trainer(begin(config, tmp_path / "straight")).run()
    path = tmp_path / "run"
    session = begin(config, path)
    interrupt_in(session, name, step)
    outcome = Trainer(session).run()
    assert outcome.step == step and outcome.stopped == "Ctrl-C" and outcome.interrupted
    assert outcome.saved and outcome.val_loss is None
    assert losses(path)[-1][0] == step - 1  # its line comes with the evaluation
    session = resume(path)
    assert session.state.step == step
    outcome = Trainer(session).run()
    assert outcome.stopped is None and outcome.val_loss is not None
    assert final_bytes(path) == final_bytes(tmp_path / "straight")
    assert losses(path) == losses(tmp_path / "straight")
    assert samples(path) == samples(tmp_path / "straight")


def test_a_signal_before_work_that_may_be_cut_short_skips_it():
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        while signals.received is None:
            pass
        with pytest.raises(Stopped), signals.at_once():
            raise AssertionError("it was begun")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)


def test_a_stop_that_takes_a_while_is_explained():
    said = threading.Event()
    with StopSignals(lambda name: said.set() if name == "Ctrl-C" else None):
        os.kill(os.getpid(), signal.SIGINT)
        assert said.wait(30)


def test_a_stop_that_is_quick_or_never_asked_for_explains_nothing(monkeypatch):
    said, threads = [], threading.active_count()
    with StopSignals(said.append):
        os.kill(os.getpid(), signal.SIGINT)
    with StopSignals(said.append):
        pass
    while threading.active_count() > threads:
        time.sleep(0.001)
    assert said == []


def test_checkpoints_come_by_time_too_and_change_no_weight(config, tmp_path, monkeypatch):
    monkeypatch.setattr(trainers, "SAVING", 1e9)  # however long saving takes
    config = config.replace("training", steps=27)
    Trainer(begin(config, tmp_path / "straight")).run()
    timed = config.replace("training", checkpoint_seconds=1e-9)
    session, kept = begin(timed, tmp_path / "run"), []

    class Watch(Ears):
        def step(self, metrics, val_loss):
            kept.append([one.step for one in checkpoints.listed(session.run.checkpoints)])

    Trainer(session, [Watch()]).run()
    assert final_bytes(tmp_path / "run") == final_bytes(tmp_path / "straight")
    assert kept[1] == [1] and kept[2] == [2]  # one by time, replaced by the next
    assert kept[26][0] == 26 and {21, 20} <= set(kept[26])  # with the newest of the recipe's
    assert all(len(steps) <= 4 for steps in kept)


def test_checkpoints_by_time_take_a_fiftieth_of_it(config, tmp_path):
    trainer = Trainer(begin(config, tmp_path / "run"))
    trainer._saved_at, trainer._save_seconds = time.monotonic() - 70, 1.0
    assert trainer._long_unsaved()
    trainer._save_seconds = 2.0
    assert not trainer._long_unsaved()


def test_no_checkpoints_by_time_when_they_are_off(config, tmp_path):
    off = config.replace("training", checkpoint_seconds=None)
    trainer = Trainer(begin(off, tmp_path / "run"))
    trainer._saved_at = time.monotonic() - 1e6
    assert not trainer._long_unsaved()
    with pytest.raises(ConfigError, match="checkpoint_seconds = 0.0 must be above 0, or none"):
        config.replace("training", checkpoint_seconds=0.0)


def test_a_rollback_goes_where_the_recipe_saved_not_where_somebody_stopped(config, tmp_path):
    session = begin(config, tmp_path / "run")
    Trainer(session, stops=[Stop(session, 12)]).run()
    run = Run.open(tmp_path / "run")
    assert run.newest_good().step == 12
    assert run.newest_good(scheduled=True).step == 10
    trainer = Trainer(resume(tmp_path / "run"))
    trainer._roll_back("the test")
    assert trainer.session.state.step == 10


def test_an_old_checkpoint_is_a_scheduled_one(config, tmp_path):
    session = begin(config, tmp_path / "run")
    saved = session.save()
    assert set(saved.state()) == {"train", "batches", "data", "computes"}
    assert saved.scheduled and not session.save(scheduled=False).scheduled


def test_two_trainings_in_one_process_are_not_at_once_either(config, tmp_path):
    first = begin(config, tmp_path / "run")
    refused = []

    class Second(Ears):
        def step(self, metrics, val_loss):
            if metrics.step == 3:
                thread = threading.Thread(target=self.try_it)
                thread.start()
                thread.join()

        def try_it(self):
            try:
                resume(tmp_path / "run")
            except UserError as error:
                refused.append(str(error))

    Trainer(first, [Second()]).run()
    assert len(refused) == 1 and "is in use" in refused[0]


# The program itself, in processes of their own.


def folder_of(path):
    """Everything in a run, with its content."""
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {str(file): file.read_bytes() for file in files}


@pytest.fixture
def training(config, tmp_path):
    """A training in another process that is past its first steps and goes on for long."""
    long = config.replace(
        "training", steps=10**6, eval_every=None, checkpoint_every=None, sample_every=None
    )
    toml, path = write_toml(long, tmp_path / "c.toml"), tmp_path / "run"
    process = start(
        ["train", toml, "--out", path],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    log = path / "metrics.jsonl"
    wait_for(lambda: log.exists() and len(log.read_bytes().splitlines()) > 5, process)
    yield process
    process.kill()
    process.communicate()


def test_a_second_training_is_refused_and_writes_nothing(training, config, tmp_path):
    path = tmp_path / "run"
    training.send_signal(signal.SIGSTOP)  # nothing else changes the folder now
    before = folder_of(path)
    for arguments in (["--resume"], ["--resume", "--set", "training.steps=77"]):
        second = start(["train", "--out", path, *arguments])
        output = second.communicate(timeout=60)[0]
        assert second.returncode == 1 and "is in use: another training" in output
    assert folder_of(path) == before
    training.send_signal(signal.SIGKILL)
    training.wait()
    made = [m["step"] for m in metrics_files.read(path / "metrics.jsonl")]
    third = start(["train", "--out", path, "--resume", "--set", "training.steps=9"])
    third.communicate(timeout=60)
    assert third.returncode == 0 and made == sorted(made)
    assert checkpoints.newest_good(path / "checkpoints").step == 9


def test_two_that_begin_at_once_in_one_folder_make_one_run(config, tmp_path):
    short = config.replace("training", steps=30)
    toml = write_toml(short, tmp_path / "c.toml")
    other = write_toml(short.replace("training", lr=2e-3), tmp_path / "d.toml")
    both = [start(["train", one, "--out", tmp_path / "run"]) for one in (toml, other)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 1], outputs
    lines = [m["step"] for m in metrics_files.read(tmp_path / "run/metrics.jsonl") if "loss" in m]
    assert lines == list(range(1, 31))


def test_ctrl_c_while_the_data_is_prepared_says_what_there_is(config, tmp_path):
    slow = tmp_path / "slow.txt"
    slow.write_text("one two three four five six\n" * 400_000, encoding="utf-8")
    toml = write_toml(config.replace("data", source=str(slow)), tmp_path / "c.toml")
    process = start(
        ["train", toml, "--out", tmp_path / "run"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    path = tmp_path / "run"
    wait_for(lambda: path.exists() and list(path.iterdir()), process)  # tokens are being written
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert "Stopped before the first step: there is nothing to save." in output
    assert not (tmp_path / "run/config.json").exists()


def test_a_pending_step_keeps_every_number(config, tmp_path):
    session = begin(config, tmp_path / "run")
    interrupt_in(session, "evaluate", 10)
    Trainer(session).run()
    assert dataclasses.asdict(resume(tmp_path / "run").pending) == dataclasses.asdict(
        session.pending
    )
