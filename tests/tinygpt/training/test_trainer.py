"""Training goes on where it stopped, to the bit; trouble is met, said and survived."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigrad import optim
from tinygpt.config import ConfigError, load_config
from tinygpt.data.batches import Batch
from tinygpt.errors import UserError
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.checkpoint import CheckpointError
from tinygpt.runs.run import Run
from tinygpt.training.begin import begin, resume
from tinygpt.training.loop import train
from tinygpt.training.trainer import Trainer
from tinygpt.training.watch import Watcher
from tinygpt.weights.open import load_model


class Stop:
    """A stop that asks to leave after a step."""

    def __init__(self, session, step):
        self.session, self.step = session, step

    def __call__(self):
        return "the test" if self.session.state.step >= self.step else None


class Ears(Watcher):
    """Keeps every event."""

    def __init__(self):
        self.heard = []

    def event(self, step, kind, text):
        self.heard.append((kind, text))

    def kinds(self):
        return [kind for kind, _ in self.heard]


def final_bytes(path):
    """model and optimizer files of the newest checkpoint, and what its state says."""
    newest = checkpoints.newest_good(path / "checkpoints")
    state = newest.state()
    del state["train"]["seconds"]
    return [(newest.path / f"{n}.safetensors").read_bytes() for n in ("model", "optimizer")], state


def losses(path):
    lines = metrics_files.read(path / "metrics.jsonl")
    return [(m["step"], m["loss"], m.get("val_loss")) for m in lines if "loss" in m]


@pytest.fixture
def straight(tiny_config, tmp_path):
    """The folder of an undisturbed run."""
    Trainer(begin(tiny_config, tmp_path / "straight")).run()
    return tmp_path / "straight"


def test_the_loss_falls_and_the_outcome_says_so(tiny_config, tmp_path):
    outcome = Trainer(begin(tiny_config, tmp_path / "run")).run()
    assert outcome.step == 40 and outcome.stopped is None and outcome.saved
    curve = [loss for _, loss, _ in losses(tmp_path / "run")]
    assert len(curve) == 40
    assert np.mean(curve[-5:]) < curve[0] - 0.5
    assert outcome.val_loss < curve[0] - 0.4


def test_stopping_and_resuming_gives_the_same_bytes(tiny_config, tmp_path, straight):
    path = tmp_path / "run"
    session = begin(tiny_config, path)
    for stop in (3, 11, 12, 30):
        outcome = Trainer(session, stops=[Stop(session, stop)]).run()
        assert outcome.stopped == "the test" and outcome.step == stop and outcome.saved
        session = resume(path)
    Trainer(session).run()
    assert final_bytes(path) == final_bytes(straight)
    assert losses(path) == losses(straight)


def test_resuming_from_an_old_checkpoint_rewinds_the_metrics(tiny_config, tmp_path, straight):
    path = tmp_path / "run"
    session = begin(tiny_config, path)
    Trainer(session, stops=[Stop(session, 18)]).run()
    newest = checkpoints.newest_good(path / "checkpoints")
    (newest.path / "state.json").write_bytes(b"torn")
    with open(path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 19, "lo')
    said = []
    session = resume(path, say=said.append)
    assert session.state.step < 18
    assert any("state.json" in text for text in said)
    Trainer(session).run()
    assert final_bytes(path) == final_bytes(straight)
    assert losses(path) == losses(straight)


def test_accumulation_weighs_each_batch_by_what_counts_in_it(tiny_config, tmp_path):
    config = tiny_config.replace("model", dropout=0.0)
    ids, targets = next(begin(config, tmp_path / "a").batches)
    grads = {}
    for name, parts in (("whole", [slice(None)]), ("unequal", [slice(1), slice(1, None)])):
        session = begin(config, tmp_path / name)
        parts = [Batch(ids[part], targets[part]) for part in parts]
        steps = train(
            session.model, iter(parts), session.objective.loss, session.optimizer,
            session.schedule, session.state, steps=1, accumulation=len(parts),
        )
        metrics = next(iter(steps))
        assert metrics.tokens == ids.size
        grads[name] = optim.global_norm(session.optimizer.parameters())
        assert grads[name] == pytest.approx(metrics.grad_norm)
    assert grads["whole"] == pytest.approx(grads["unequal"], rel=1e-5)


def test_recomputed_activations_give_the_same_bytes(tiny_config, tmp_path, straight):
    config = tiny_config.replace("training", recompute=True)
    Trainer(begin(config, tmp_path / "run")).run()
    assert final_bytes(tmp_path / "run") == final_bytes(straight)


@pytest.mark.parametrize("backend", ["c", "numpy", pytest.param("numba", marks=pytest.mark.slow)])
def test_deterministic_training_is_the_same_with_any_number_of_threads(
    tiny_config, tmp_path, backend
):
    config = tiny_config.replace("training", deterministic=True, steps=5, eval_every=None)
    config = config.replace("model", d_model=48, context=40)  # odd shares for each thread
    outcomes = []
    for threads in (1, 3):
        path = tmp_path / f"run{threads}"
        toml = write_toml(config, tmp_path / "c.toml")
        env = {**os.environ, "TINYGPT_THREADS": str(threads), "KERNELS_BACKEND": backend}
        process = start(["train", toml, "--out", path], env=env)
        output = process.communicate(timeout=120)[0]
        if "not available" in output:
            pytest.skip(output)
        assert process.returncode == 0, output
        outcomes.append(final_bytes(path)[0])
    assert outcomes[0] == outcomes[1]


def test_clipping_bounds_the_gradient_that_reaches_the_optimizer(tiny_config, tmp_path):
    session = begin(tiny_config.replace("training", clip=0.01), tmp_path / "run")
    scales = []
    real = session.optimizer.step
    session.optimizer.step = lambda lr, grad_scale: (
        scales.append(grad_scale), real(lr, grad_scale))
    Trainer(session, stops=[Stop(session, 3)]).run()
    lines = metrics_files.read(tmp_path / "run/metrics.jsonl")
    norms = [m["grad_norm"] for m in lines if "loss" in m]
    assert scales == pytest.approx([0.01 / norm for norm in norms], rel=1e-6)


def test_a_nan_gradient_skips_the_step_and_says_so(tiny_config, tmp_path):
    session, ears = begin(tiny_config, tmp_path / "run"), Ears()
    poison(session, at={10})
    outcome = Trainer(session, [ears]).run()
    assert outcome.step == 40
    assert ears.kinds() == ["skip"]
    assert all(np.isfinite(array).all() for array in session.model.state_dict().values())
    skipped = [
        m for m in metrics_files.read(tmp_path / "run/metrics.jsonl") if m.get("event") == "skip"
    ]
    assert len(skipped) == 1 and skipped[0]["step"] == 11 and "nan" in skipped[0]["text"]


def poison(session, at):
    """Make the loss of the forward passes numbered `at` not a number."""
    real, count = session.model.loss, iter(range(10**9))

    def loss(ids, targets, label_smoothing=0.0):
        value = real(ids, targets, label_smoothing)
        if session.model.training and next(count) in at:
            value = value * np.float32("nan")
        return value

    session.model.loss = loss


def test_several_bad_steps_in_a_row_roll_back_and_training_recovers(tiny_config, tmp_path):
    session, ears = begin(tiny_config, tmp_path / "run"), Ears()
    poison(session, at=set(range(16, 21)))
    outcome = Trainer(session, [ears]).run()
    assert outcome.step == 40 and outcome.saved
    assert ears.kinds() == ["skip"] * 5 + ["rollback"]
    assert "checkpoint of step 14" in ears.heard[-1][1]
    assert 0.5 < session.state.lr_scale < 0.6  # lowered, and climbing back
    assert outcome.val_loss < 2.7


def test_nothing_but_nan_ends_with_one_sentence(tiny_config, tmp_path):
    session = begin(tiny_config, tmp_path / "run")
    poison(session, at=set(range(1000)))
    with pytest.raises(UserError, match="bad steps in a row.*Lower the rate"):
        Trainer(session).run()


def test_a_full_disk_costs_a_warning_and_no_checkpoint(tiny_config, tmp_path, monkeypatch):
    session, ears = begin(tiny_config, tmp_path / "run"), Ears()
    Trainer(session, stops=[Stop(session, 8)]).run()
    good = final_bytes(tmp_path / "run")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    session = resume(tmp_path / "run")

    def fill_the_disk():
        monkeypatch.setattr(os, "fsync", full)

    outcome = Trainer(session, [ears], stops=[fill_the_disk]).run()
    monkeypatch.undo()
    assert outcome.step == 40 and not outcome.saved
    assert "No space left" in dict(ears.heard)["warning"]
    assert final_bytes(tmp_path / "run") == good


def test_steps_may_be_added_on_resume_and_the_change_is_said(tiny_config, tmp_path):
    Trainer(begin(tiny_config, tmp_path / "run")).run()
    said = []
    session = resume(tmp_path / "run", lambda c: c.replace("training", steps=45), said.append)
    assert "changed since the last session: training.steps: 40 -> 45" in said
    assert Trainer(session).run().step == 45
    assert Run.open(tmp_path / "run").config.training.steps == 45


def test_another_shape_on_resume_is_refused(tiny_config, tmp_path):
    begin(tiny_config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model.d_model: 16 -> 32"):
        resume(tmp_path / "run", lambda c: c.replace("model", d_model=32))


def test_changed_text_is_said_and_the_prepared_tokens_are_used(tiny_config, tmp_path):
    text = tmp_path / "own.txt"
    text.write_text("one two three four " * 400, encoding="utf-8")
    config = tiny_config.replace("data", source=str(text))
    session = begin(config, tmp_path / "run")
    Trainer(session, stops=[Stop(session, 5)]).run()
    for change in (lambda: text.write_text("five " * 900, encoding="utf-8"), text.unlink):
        change()
        said = []
        session = resume(tmp_path / "run", say=said.append)
        assert any("prepared" in sentence for sentence in said)
        assert session.state.step == 5
    assert Trainer(session).run().step == 40


def test_a_checkpoint_of_another_shape_names_the_tensor(tiny_config, tmp_path):
    Trainer(begin(tiny_config.replace("training", steps=2), tmp_path / "run")).run()
    run = Run.open(tmp_path / "run")
    rows = run.config.model.vocab_size  # as many weights in all, two of the tables swapped
    run.write_config(run.config.replace("model", vocab_size=16, context=rows))
    with pytest.raises(CheckpointError, match=rf"token_embedding.weight is \(16, 16\).*{rows}"):
        load_model(Run.open(tmp_path / "run"))


def test_opening_what_is_not_a_run_says_so(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError, match=r"config\.json|missing"):
            Run.open(path)


def test_a_run_without_checkpoints_says_so(tiny_config, tmp_path):
    begin(tiny_config, tmp_path / "run")
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_model(Run.open(tmp_path / "run"))


def test_a_second_run_in_the_same_folder_is_refused(tiny_config, tmp_path):
    begin(tiny_config, tmp_path / "run")
    with pytest.raises(UserError, match="already holds a run.*--resume"):
        begin(tiny_config, tmp_path / "run")


def test_a_text_shorter_than_the_context_is_refused_before_anything_is_made(tiny_config, tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("abc", encoding="utf-8")
    with pytest.raises(UserError, match="too few for a context"):
        begin(tiny_config.replace("data", source=str(text)), tmp_path / "run")
    assert not (tmp_path / "run/config.json").exists()


def test_metrics_become_a_table(tiny_config, tmp_path, straight):
    rows = metrics_files.write_csv(straight / "metrics.jsonl", tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert rows == 40 and len(lines) == 41
    assert lines[0].startswith("step,tokens,loss,val_loss,lr,grad_norm")


class Broken(Watcher):
    """A watcher that cannot show anything after a step."""

    def __init__(self, at):
        self.at = at

    def step(self, metrics, val_loss):
        if metrics.step == self.at:
            raise UnicodeEncodeError("cp1252", "ż", 0, 1, "no such character")


def test_a_watcher_that_fails_is_left_out_with_one_warning(tiny_config, tmp_path, straight):
    ears = Ears()
    outcome = Trainer(begin(tiny_config, tmp_path / "run"), [Broken(at=3), ears]).run()
    assert outcome.step == 40 and outcome.saved
    warnings = [text for kind, text in ears.heard if kind == "warning"]
    assert len(warnings) == 1 and "Broken failed (UnicodeEncodeError" in warnings[0]
    assert final_bytes(tmp_path / "run") == final_bytes(straight)


def test_a_steps_line_is_written_before_its_checkpoint(tiny_config, tmp_path, monkeypatch):
    session = begin(tiny_config, tmp_path / "run")
    real, seen = session.save, []

    def save(scheduled=True):
        lines = metrics_files.read(tmp_path / "run/metrics.jsonl")
        seen.append((session.state.step, max(m["step"] for m in lines)))
        return real(scheduled)

    monkeypatch.setattr(session, "save", save)
    Trainer(session).run()
    assert len(seen) > 4 and all(saved == written for saved, written in seen)


# The program itself, in a process of its own.


def start(arguments, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-m", "tinygpt", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs,
    )


def write_toml(config, path):
    lines = []
    for section, values in config.to_dict().items():
        if not isinstance(values, dict):
            continue
        lines.append(f"[{section}]")
        for key, value in values.items():
            value = list(value) if isinstance(value, tuple) else value
            lines.append(f"{key} = {json.dumps('none' if value is None else value)}")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert load_config(path) == config
    return path


def test_training_goes_on_when_its_reader_leaves(tiny_config, tmp_path):
    toml = write_toml(tiny_config.replace("training", steps=400), tmp_path / "c.toml")
    process = start(["train", toml, "--out", tmp_path / "run"])
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert checkpoints.newest_good(tmp_path / "run/checkpoints").step == 400


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_exits_130_and_resume_finishes(tiny_config, tmp_path, number):
    config = tiny_config.replace("training", steps=3000, eval_every=None, checkpoint_every=None)
    toml = write_toml(config, tmp_path / "c.toml")
    # Tests that run in the background or under nohup ignore the signal themselves, and a child
    # would inherit that, as it should (signals.py).
    process = start(
        ["train", toml, "--out", tmp_path / "run"],
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    log = tmp_path / "run/metrics.jsonl"
    wait_for(lambda: log.exists() and len(log.read_bytes().splitlines()) > 5, process)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert "--resume" in output
    assert "\x1b" not in output
    stopped = checkpoints.newest_good(tmp_path / "run/checkpoints").step
    assert stopped >= 5
    steps = stopped + 3
    process = start(
        ["train", "--out", tmp_path / "run", "--resume", "--set", f"training.steps={steps}"]
    )
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert f"going on from step {stopped}" in output
    assert f"Done: {steps} steps" in output


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_the_command_line_says_what_is_wrong_in_one_line(tiny_config, tmp_path):
    toml = write_toml(tiny_config, tmp_path / "c.toml")
    empty, latin = tmp_path / "empty.txt", tmp_path / "latin.txt"
    empty.write_text("")
    latin.write_bytes(b"caf\xe9 " * 400)
    for arguments, code, words in (
        (["--data", empty], 1, "empty"),
        (["--data", latin], 1, "UTF-8"),
        (["--data", tmp_path / "missing"], 2, "no file"),
        (["--set", "model.n_heads=3"], 2, "divisible"),
        (["--set", "training.stepz=3"], 2, "training.steps"),
        (["--out", "/proc/nowhere"], 1, "/proc/nowhere"),
        (["--resume"], 2, "config.json"),
        (["--stop-at", "late"], 2, "22:00"),
    ):
        process = start(["train", toml, "--out", tmp_path, *arguments])
        output = process.communicate(timeout=60)[0]
        assert process.returncode == code, (arguments, output)
        assert words in output and "Traceback" not in output, (arguments, output)
