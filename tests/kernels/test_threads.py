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


@pytest.mark.parametrize("count", [0, -1, 65, 1.5, True, "2", None])
def test_counts_that_no_team_can_have_are_refused(count):
    with pytest.raises(ValueError, match="from 1 to 64"):
        kernels.set_num_threads(count)


def test_the_default_stays_within_the_affinity_mask(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert threads.default_threads(tmp_path).number == 1


def test_hyperthreads_of_one_core_count_once_and_work_as_two(monkeypatch, tmp_path):
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
    for cpu, cores in siblings.items():
        write(tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(siblings), raising=False)
    assert threads.default_threads(tmp_path) == (2, "one for each core")
    assert threads.usable_cpus(tmp_path).number == 4


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


# (where this process stands, what is mounted where, limits of groups) -> threads on 8 CPUs
DISK = "20 1 8:1 / / rw - ext4 /dev/a rw"
V2 = "30 1 0:1 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V1 = "30 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
OTHER_V1 = "31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
HYBRID = "32 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
OWN_PART = "30 1 0:1 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup ro,cpu"
SPACE = "30 1 0:1 / /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw"
TREES = {
    "v2": ("0::/", [V2], {"cgroup/cpu.max": "200000 100000"}, 2),
    "v2, one and a half": ("0::/", [V2], {"cgroup/cpu.max": "150000 100000"}, 1),
    "v2, half": ("0::/", [V2], {"cgroup/cpu.max": "50000 100000"}, 1),
    "v2, no limit": ("0::/", [V2], {"cgroup/cpu.max": "max 100000"}, 8),
    "v2, its own group": ("0::/a/b", [V2], {"cgroup/a/b/cpu.max": "300000 100000"}, 3),
    "v2, a parent is tighter": ("0::/a/b", [V2], {
        "cgroup/a/b/cpu.max": "700000 100000", "cgroup/a/cpu.max": "250000 100000"}, 2),
    "v2, the top is tightest": ("0::/a", [V2], {
        "cgroup/a/cpu.max": "max 100000", "cgroup/cpu.max": "400000 100000"}, 4),
    "v2, a sibling's": ("0::/a", [V2], {"cgroup/b/cpu.max": "100000 100000"}, 8),
    "v2, outside the namespace": ("0::/../x", [V2], {"cgroup/cpu.max": "200000 100000"}, 2),
    "a space in the path": ("0::/", [SPACE], {"my groups/cpu.max": "200000 100000"}, 2),
    "v1": ("4:cpu,cpuacct:/\n3:memory:/m", [V1, OTHER_V1], {
        "cgroup/cpu,cpuacct/cpu.cfs_quota_us": "600000",
        "cgroup/cpu,cpuacct/cpu.cfs_period_us": "200000",
        "cgroup/memory/m/cpu.cfs_quota_us": "100000",
        "cgroup/memory/m/cpu.cfs_period_us": "100000"}, 3),
    "v1, no limit": ("4:cpu,cpuacct:/", [V1], {
        "cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000"}, 8),
    "v1, nested": ("4:cpu,cpuacct:/a/b\n0::/", [V1, HYBRID], {
        "cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "250000",
        "cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, 2),
    "v1, a container that sees its own part": ("4:cpu:/docker/abc/x", [OWN_PART], {
        "cgroup/cpu/x/cpu.cfs_quota_us": "500000", "cgroup/cpu/x/cpu.cfs_period_us": "100000",
        "cgroup/cpu/cpu.cfs_quota_us": "200000", "cgroup/cpu/cpu.cfs_period_us": "100000"}, 2),
    "hybrid, limited in v2": ("4:cpu,cpuacct:/\n0::/s", [V1, HYBRID], {
        "cgroup/unified/s/cpu.max": "200000 100000"}, 2),
    "nothing to read": ("0::/", [V2], {}, 8),
    "not a number": ("0::/", [V2], {"cgroup/cpu.max": "lots 0"}, 8),
    "no time at all": ("0::/", [V2], {"cgroup/cpu.max": "0 0"}, 8),
}


@pytest.mark.parametrize("name", TREES)
def test_a_container_gets_the_whole_cpus_of_its_tightest_quota(monkeypatch, tmp_path, name):
    own, mounts, limits, expected = TREES[name]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    write(tmp_path / "proc/self/cgroup", own)
    write(tmp_path / "proc/self/mountinfo", "\n".join([DISK, *mounts]))
    for path, text in limits.items():
        write(tmp_path / "sys/fs" / path, text)
    count, why = threads.default_threads(tmp_path)
    assert count == expected
    assert ("CPUs, rounded down" in why) == (expected < 8)


def test_what_is_no_linux_has_its_cpus(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert threads.default_threads(tmp_path).number == 4


COUNTS = "import minigrad as m; print(m.get_num_threads(), m.get_num_workers())"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OMP_NUM_THREADS": "3"}, "3 3"),
        ({"OMP_NUM_THREADS": "3,2"}, "3 3"),
        ({"OMP_NUM_THREADS": "3", "TINYGPT_THREADS": "1"}, "1 1"),
        ({"OMP_NUM_THREADS": "", "TINYGPT_THREADS": "5"}, "5 5"),
    ],
)
def test_ours_comes_before_openmps_and_binds_workers_too(environment, expected):
    assert in_a_new_process(COUNTS, **environment).stdout.strip() == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "\u00b2", "65", "1,2", "99999999999"])
def test_a_count_that_no_team_can_have_is_refused(monkeypatch, text):
    monkeypatch.setenv("TINYGPT_THREADS", text)
    with pytest.raises(ValueError, match="is not a number of threads; set it to a number from 1"):
        threads.asked_for()


def test_a_wrong_openmp_count_is_refused_unless_ours_stands(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    monkeypatch.setenv("TINYGPT_THREADS", "2")
    assert threads.asked_for() == (2, "TINYGPT_THREADS")
    monkeypatch.delenv("TINYGPT_THREADS")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS='all'"):
        threads.asked_for()


def test_what_decided_is_said():
    kernels.set_num_threads(2)
    assert kernels.report()["threads"] == "set_num_threads"


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
