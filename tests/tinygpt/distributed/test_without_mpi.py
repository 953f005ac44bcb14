"""Without mpirun nothing of MPI is imported; without mpi4py its processes say what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygpt.distributed.mpi import silence, started_ranks, what_is_here
from tinygpt.errors import UsageError

HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mpi4py":
            raise ModuleNotFoundError("No module named 'mpi4py'")
sys.meta_path.insert(0, Hide())
"""


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120,
        env={**os.environ, "TINYGPT_THREADS": "1", **environment}, cwd=Path(__file__).parents[3],
    )


TRAIN = HIDDEN + """
from tinygpt.cli import main
try:
    main(sys.argv[1:])
finally:
    assert "mpi4py" not in sys.modules
"""
SMALL = [
    "train", "--set", "training.steps=2", "--set", "model.n_layers=1", "--set", "model.n_heads=1",
    "--set", "model.d_model=16", "--set", "model.context=16", "--set", "training.batch_size=2",
]


def test_one_process_trains_without_mpi4py(tiny_text, tmp_path):
    ended = python(TRAIN, *SMALL, "--data", str(tiny_text), "--out", str(tmp_path / "run"))
    assert ended.returncode == 0, ended.stderr
    assert "Done: 2 steps" in ended.stdout


def test_several_processes_without_mpi4py_are_told_how_to_get_it(tiny_text, tmp_path):
    ended = python(TRAIN, *SMALL, "--out", str(tmp_path / "run"), OMPI_COMM_WORLD_SIZE="2")
    assert ended.returncode == 1
    assert "MPI cannot be used: No module named 'mpi4py'" in ended.stderr
    assert 'pip install "tinygpt[mpi]"' in ended.stderr
    assert not (tmp_path / "run").exists()


def test_doctor_says_whether_mpi_is_here(monkeypatch):
    monkeypatch.setattr("tinygpt.distributed.mpi.find_spec", lambda name: None)
    assert what_is_here().startswith('not installed; pip install "tinygpt[mpi]"')


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_mpirun_is_recognised_by_what_it_sets(name, monkeypatch):
    for known in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(known, raising=False)
    assert started_ranks() == 1
    monkeypatch.setenv(name, "3")
    assert started_ranks() == 3


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_a_timeout_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("TINYGPT_RANK_TIMEOUT", text)
    with pytest.raises(UsageError, match=f"TINYGPT_RANK_TIMEOUT = '{text}' is no time"):
        silence()
