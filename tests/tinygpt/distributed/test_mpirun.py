"""The same under a real mpirun: processes that train, evaluate, differ, fall silent."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench.ranks_kill import ranks_of
from tests.tinygpt.distributed.training import config, distance, train
from tinygpt.cli import main
from tinygpt.runs.run import Run

MPIRUN = Path(sys.executable).with_name("mpirun")
needs_mpi = pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "TINYGPT_THREADS": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def mpirun(ranks, *arguments, before=(), **environment):
    """Start `tinygpt ARGUMENTS` that many times, with the terminal's output in a pipe."""
    command = [MPIRUN, *before, "-n", str(ranks), sys.executable, "-m", "tinygpt", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **SETTINGS, **environment}, cwd=Path(__file__).parents[3],
    )


def finished(process, code=0):
    """What a process has said, once it has ended with this exit code."""
    said = process.communicate(timeout=120)[0]
    assert process.returncode == code, said
    return said


@pytest.fixture
def asked(tiny_text, tmp_path):
    """A configuration file like config()'s."""
    path = tmp_path / "tiny.toml"
    lines = []
    for section, values in config(tiny_text).to_dict().items():
        if section in ("model", "data", "training"):
            lines.append(f"[{section}]")
            lines += [f"{key} = {_toml(v)}" for key, v in values.items() if v is not None]
    path.write_text("\n".join(lines))
    return path


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n") + '"'
    return str(list(value)) if isinstance(value, tuple) else repr(value)


@needs_mpi
def test_two_processes_learn_what_one_learns_and_one_goes_on_alone(asked, tiny_text, tmp_path):
    out = tmp_path / "run"
    said = finished(mpirun(2, "train", str(asked), "--out", str(out), "--set",
                           "training.zero=true"))
    assert said.count("Done: 20 steps") == 1
    train(1, tmp_path / "alone", config(tiny_text))
    assert distance(tmp_path / "alone", out) < 1e-6
    train(1, out, change=lambda own: own.replace("training", steps=22))
    assert Run.open(out).find("last").step == 22
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert len([line for line in lines if '"loss"' in line]) == 22


@needs_mpi
def test_items_are_evaluated_by_two_processes_as_by_one(tiny_text, tmp_path):
    run, questions = tmp_path / "run", tmp_path / "questions.jsonl"
    text = tmp_path / "text.txt"
    text.write_text(tiny_text.read_text() + "Question: Answer:\n" * 99)
    train(1, run, config(text, steps=2))
    words = text.read_text().split()
    questions.write_text("".join(
        json.dumps({"question": " ".join(words[k : k + 3]), "answer": k % 3,
                    "choices": words[k + 3 : k + 6]}) + "\n"
        for k in range(7)
    ))
    asked = ["evaluate", str(run), "--suite", "questions", "--data", str(questions), "--out"]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    with contextlib.suppress(SystemExit):
        main([*asked, str(one)])
    said = finished(mpirun(2, *asked, two))
    assert " ".join(said.split()).count("questions, 6 items") == 1  # one choice stands there twice
    (right, numbers), (found, others) = (_without_floats(path.read_text()) for path in (one, two))
    assert len(right.splitlines()) == 8 and found == right
    np.testing.assert_allclose(others, numbers, atol=1e-5)


def _without_floats(text):
    """(text with # for each number that has a point, those numbers)."""
    return re.sub(r"-?\d+\.\d+", "#", text), [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


@needs_mpi
def test_ranks_of_other_instruction_sets_are_named(asked, tmp_path):
    """Two programs under one mpirun, the second of which is made to compute otherwise."""
    tail = ["-m", "tinygpt", "train", str(asked), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [MPIRUN, "-n", "1", sys.executable, *tail,
         ":", "-n", "1", "env", "KERNELS_BACKEND=numpy", sys.executable, *tail],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **SETTINGS}, cwd=Path(__file__).parents[3],
    )
    said = " ".join(finished(process, 1).split())
    assert "rank 1 (" in said and "has another backend than rank 0: numpy instead of" in said
    assert not (tmp_path / "run").exists()


@needs_mpi
def test_a_rank_that_falls_silent_is_named_and_all_end(asked, tmp_path):
    out = tmp_path / "run"
    process = mpirun(
        2, "train", str(asked), "--out", str(out), "--set", "training.steps=1000000",
        TINYGPT_RANK_TIMEOUT="3",
    )
    while not (out / "checkpoints").exists() or not list((out / "checkpoints").glob("step-*")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    silent = ranks_of(out)[1]
    os.kill(silent, signal.SIGSTOP)
    try:
        said = finished(process, 1)
    finally:
        try:
            os.kill(silent, signal.SIGKILL)
        except ProcessLookupError:  # mpirun has ended it
            pass
    assert said.count("has not been heard of for 3 s: every rank ends here") == 1
    assert "rank 1 (" in said
    Run.open(out).find("last")
