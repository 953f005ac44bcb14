"""What a person sees: on 80 x 24, on a window that is resized, on a dumb one, and on none."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("pty", reason="no pseudo-terminals on this system")
pytest.importorskip("pyte", reason="the emulator is not installed: pip install pyte")

from tests.tinygpt.screens.terminals import Terminal, environment

SETTINGS = (
    "model.n_layers=1", "model.n_heads=1", "model.d_model=16", "model.context=16",
    "training.steps=12", "training.batch_size=2", "training.warmup_steps=2",
    "training.eval_every=6", "training.sample_every=6", "training.checkpoint_every=none",
)
WORDS = "the cat sat under an old tree and then it saw something remarkable in moonlight".split()
# A view that is told of a step every 20 ms, and of a sample at the tenth.
VIEW = f"""
import sys, time
from pathlib import Path
from types import SimpleNamespace as Bag
from tinygpt.runs.metrics import StepMetrics
from tinygpt.screens.live import make_view
view, steps = make_view(), int(sys.argv[1])
view.start(Bag(config=Bag(training=Bag(steps=steps)), run=Bag(path=Path("a [red] run"))))
for step in range(1, steps + 1):
    loss = 5 - step / steps
    view.step(StepMetrics(step, 32 * step, loss, 1e-3, 1.0, 1600.0, 10**8, 0.02), None)
    if step == 10:
        view.sample(step, "{' '.join(WORDS)}")
    time.sleep(0.02)
view.close()
"""


def settings():
    return [word for one in SETTINGS for word in ("--set", one)]


def unbroken(text, known):
    """Every word on the screen is one of `known`: none was cut in two."""
    return set(re.findall(r"[a-z]+", text)) <= set(known)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text of words and of escape sequences, and the name of a run in it."""
    folder = tmp_path_factory.mktemp("a [red] place")
    lines = [f"{' '.join(WORDS[i % 7 :])} \x1b[31m\n" for i in range(400)]
    (folder / "text [bold].txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def trained(place):
    """The place after a training whose output was a pipe; with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt", "train", "--data", "text [bold].txt", "--out",
         "my [red] run", *settings()],
        cwd=place, env=environment(), capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return place, done.stdout


def test_what_train_advises_runs_as_printed(trained):
    place, said = trained
    lines = re.findall(r"^(?:Read it|Examine it): +(.+)$", said, re.M)
    assert len(lines) == 2 and all("'my [red] run'" in line for line in lines)
    for line in lines:
        done = subprocess.run(line, shell=True, cwd=place, env=environment(), capture_output=True)
        assert done.returncode == 0, done.stderr


def test_what_diagnose_advises_runs_as_printed(trained):
    place, _ = trained
    looked = subprocess.run(
        [sys.executable, "-m", "tinygpt", "diagnose", "my [red] run"], cwd=place,
        env=environment(), capture_output=True, text=True, check=True,
    )
    assert "my [red] run: step 12" in looked.stdout
    (line,) = re.findall(r"^  (\S.* train .*)$", looked.stdout, re.M)
    small = re.sub(r"training.steps=\d+", "training.steps=14", line)
    done = subprocess.run(small, shell=True, cwd=place, env=environment(), capture_output=True)
    assert done.returncode == 0, done.stderr


def test_training_on_80_columns_breaks_no_word_and_obeys_no_character(place):
    terminal = Terminal(
        "-m", "tinygpt", "train", "--data", "text [bold].txt", "--out", "seen [red] run",
        *settings(), cwd=place,
    )
    assert terminal.finish() == 0
    text = terminal.text()
    assert text.count("╭") == 1 and "12 of 12 steps" in text
    assert "training seen [red] run" in text
    commands = re.sub(r" \\\n +", " ", text)  # a long one goes on after a backslash
    assert "tinygpt generate 'seen [red] run'\n" in commands
    assert r"\x1b" in text and b"\x1b[31m" not in terminal.raw
    assert max(map(len, terminal.lines())) <= 80


@pytest.mark.parametrize("columns", [40, 80])
def test_a_sample_is_broken_between_words(trained, columns):
    place, _ = trained
    code = (
        "from tinygpt.screens.console import ModelText, Screen\n"
        f"text = {' '.join(WORDS * 5)!r}\n"
        "Screen().say(text)\n"
        "with ModelText() as write:\n"
        "    for i in range(0, len(text), 3): write(text[i : i + 3])\n"
    )
    terminal = Terminal("-c", code, columns=columns)
    assert terminal.finish() == 0
    assert unbroken(terminal.text(), WORDS)
    assert " ".join(terminal.text().split()).split() == WORDS * 10


def test_a_model_cannot_command_the_terminal_and_a_pipe_gets_the_very_bytes(trained):
    place, _ = trained
    arguments = ["-m", "tinygpt", "generate", "my [red] run", "--temperature", "3", "--top-p", "1",
                 "--prompt", "the \x1b[31m", "--max-tokens", "400"]
    terminal = Terminal(*arguments, cwd=place)
    assert terminal.finish() == 0
    assert b"\x1b" not in terminal.raw and r"the \x1b[31m" in terminal.text()
    piped = subprocess.run([sys.executable, *arguments], cwd=place, capture_output=True, check=True)
    assert piped.stdout.startswith(b"the \x1b[31m")


def test_progress_stays_out_of_a_pipe(trained):
    place, _ = trained
    terminal = Terminal("-m", "tinygpt", "diagnose", "my [red] run", cwd=place, pipe="stdout")
    assert terminal.finish() == 0
    assert b"measuring losses" in terminal.raw and b"this model" not in terminal.raw
    assert b"this model" in terminal.piped and b"measuring losses" not in terminal.piped
    assert b"\x1b" not in terminal.piped and terminal.text().strip() == ""


def test_a_dumb_terminal_gets_lines():
    seen = Terminal("-c", VIEW, "20", TERM="dumb")
    assert seen.finish() == 0
    assert b"\x1b" not in seen.raw and "step 20/20" in seen.text()
    assert unbroken(seen.text().partition("writes:")[2].partition(":")[0], WORDS)


def test_no_color_gets_none():
    seen = Terminal("-c", VIEW, "20", NO_COLOR="1")
    assert seen.finish() == 0
    assert "20 of 20 steps" in seen.text()
    assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38|48)[;m]", seen.raw)


def test_tokens_are_told_apart_without_colours(trained):
    place, _ = trained
    seen = Terminal("-m", "tinygpt", "tokenizer", "inspect", "my [red] run", "cat", cwd=place,
                    NO_COLOR="1")
    assert seen.finish() == 0 and "[c][a][t]" in seen.text()


def test_a_terminal_that_lacks_characters_gets_ascii():
    seen = Terminal("-c", VIEW, "20", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert seen.finish() == 0
    assert seen.raw.isascii() and "?" not in seen.text() and "######" in seen.text()


def test_a_window_that_is_resized_holds_one_card():
    seen = Terminal("-c", VIEW, "100000")
    seen.until("of 100,000 steps")
    for columns in (60, 44, 100, 40):
        seen.resize(columns)
        mark = len(seen.raw)
        while len(seen.raw) < mark + 1500:  # a few drawings
            seen._read(0.1)
        assert seen.text().count("╭") == 1 and seen.text().count("╰") <= 1
    os.kill(seen.child.pid, signal.SIGKILL)
    seen.finish()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_terminal_that_breaks_lines_anew_holds_one_card(tmp_path):
    program = tmp_path / "view.py"
    program.write_text(VIEW)
    tmux = ["tmux", "-f", "/dev/null", "-S", str(tmp_path / "socket")]
    line = f"PYTHONPATH={os.getcwd()} {sys.executable} {program} 100000"

    def call(*words):
        return subprocess.run(
            [*tmux, *words], capture_output=True, text=True, check=True, env=environment()
        ).stdout

    def after(step, *history):
        """The pane once the card is past `step`; the step it shows."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            text = call("capture-pane", "-p", *history)
            found = re.search(r"(\d+) of", text)
            if found and int(found[1]) > step and "╰" in text:
                return text, int(found[1])
            time.sleep(0.1)
        raise AssertionError(text)

    call("new-session", "-d", "-x", "80", "-y", "24", line)
    try:
        _, step = after(0)
        seen = []
        for columns in (60, 41, 100, 30, 80):
            seen.append(columns)
            call("resize-window", "-x", str(columns), "-y", "24")
            # Below the card's own width what has scrolled away stays as the terminal broke it.
            history = ("-S", "-") if 30 not in seen else ()
            text, step = after(step + 50, *history)  # a second: some drawings at the new width
            assert [text.count(sign) for sign in ("╭", "╰", "training a [red]")] == [1, 1, 1], text
    finally:
        call("kill-server")


def test_ctrl_c_during_the_last_evaluation_is_answered_at_once(tiny_config, tmp_path):
    import io

    from tinygpt.screens.console import Screen
    from tinygpt.screens.live import LiveView
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    file = io.StringIO()
    view = LiveView(Screen(file=file, force_terminal=True, width=80))
    session = begin(tiny_config, tmp_path / "run")
    evaluate = session.objective.evaluate

    def interrupted(model, limit=None):
        if limit is None:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it went on measuring")
        return evaluate(model, limit)

    session.objective.evaluate = interrupted
    outcome = Trainer(session, [view]).run()
    assert outcome.saved and outcome.interrupted
    assert "stopped by Ctrl-C at step 40" in file.getvalue()


def test_a_stop_that_takes_a_while_is_explained_in_the_card(tiny_config, tmp_path):
    import io

    from tinygpt.screens.console import Screen
    from tinygpt.screens.live import LiveView
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    file = io.StringIO()
    view = LiveView(Screen(file=file, force_terminal=True, width=80))
    session = begin(tiny_config, tmp_path / "run")
    loss = session.objective.loss

    def slow(model, batch):
        if session.state.step == 5:
            signal.raise_signal(signal.SIGINT)
            end = time.monotonic() + 30
            while not view._stopping and time.monotonic() < end:
                time.sleep(0.01)
            view._live.refresh()
        return loss(model, batch)

    session.objective.loss = slow
    assert Trainer(session, [view]).run().step == 6
    shown = file.getvalue()  # the card breaks the sentence between its words
    assert "Ctrl-C: the step that was begun is" in shown and "being finished" in shown
