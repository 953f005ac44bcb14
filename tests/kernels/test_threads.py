"""One number of threads, from the environment or the machine, kept by everybody."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kernels
from kernels import threads

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def restore():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


def in_a_new_process(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True,
    )


def test_the_environment_decides():
    result = in_a_new_process(
        "import kernels; print(kernels.get_num_threads())", TINYGPT_THREADS="3"
    )
    assert result.stdout.strip() == "3"


def test_a_wrong_environment_is_one_clear_error():
    result = in_a_new_process("import kernels; kernels.get_num_threads()", TINYGPT_THREADS="many")
    assert result.returncode != 0
    assert "TINYGPT_THREADS='many' is not a number of threads" in result.stderr


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2", None])
def test_counts_below_one_or_not_whole_are_refused(count):
    with pytest.raises(ValueError, match="at least 1"):
        kernels.set_num_threads(count)


def test_the_default_stays_within_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert threads.default_threads() == 1


def test_hyperthreads_of_one_core_count_once(monkeypatch):
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}

    def read(path):
        return siblings[int(path.split("/cpu")[-1].split("/")[0])] if "topology" in path else ""

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(siblings), raising=False)
    monkeypatch.setattr(threads, "_read", read)
    assert threads.default_threads() == 2


@pytest.mark.parametrize(
    ("quota", "cpus"), [("150000 100000", 2), ("max 100000", 1 << 30), ("", 1 << 30)]
)
def test_a_container_gets_what_its_quota_is_worth(monkeypatch, quota, cpus):
    monkeypatch.setattr(threads, "_read", lambda path: quota)
    assert threads._container_cpus() == cpus


def test_blas_and_the_c_team_follow():
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    kernels.set_num_threads(1)
    assert all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")
    c = pytest.importorskip("kernels.c")
    assert c.library.lib.get_threads() == 1
    kernels.set_num_threads(2)
    assert c.library.lib.get_threads() == 2
    before = c.current_isa()
    for isa, reason in c.available_isas().items():
        if reason == "ready":  # each module has a team of its own: switching keeps the number
            c.use_isa(isa)
            assert c.library.lib.get_threads() == 2
    c.use_isa(before)
