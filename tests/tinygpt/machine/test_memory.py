"""What memory a process may use: the tightest of its control groups, old and new, nested."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tinygpt.machine import memory
from tinygpt.machine.memory import Limit

V2 = "30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "30 1 0:1 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
MB = 2**20
TREES = {
    "v2": ("0::/", V2, {"memory.max": 300 * MB, "memory.current": 100 * MB}, 200),
    "v2, a parent is tighter": ("0::/a/b", V2, {
        "a/b/memory.max": 900 * MB, "a/b/memory.current": 0,
        "a/memory.max": 500 * MB, "a/memory.current": 450 * MB}, 50),
    "v2, slowed down above high": ("0::/", V2, {
        "memory.max": "max", "memory.high": 80 * MB, "memory.current": 20 * MB}, 60),
    "v2, high below max": ("0::/", V2, {
        "memory.max": 300 * MB, "memory.high": 80 * MB, "memory.current": 20 * MB}, 60),
    "v2, files are given up": ("0::/", V2, {
        "memory.max": 300 * MB, "memory.current": 290 * MB,
        "memory.stat": f"anon 5\nfile {90 * MB}"}, 100),
    "v2, nothing left": ("0::/", V2, {"memory.max": MB, "memory.current": 3 * MB}, 0),
    "v2, no limit": ("0::/", V2, {"memory.max": "max", "memory.current": 5}, None),
    "v1, a container that sees its own part": ("5:memory:/docker/abc", V1, {
        "memory/memory.limit_in_bytes": 300 * MB, "memory/memory.usage_in_bytes": 100 * MB,
        "memory/memory.stat": f"cache 7\ntotal_cache {10 * MB}"}, 210),
    "v2, more files than it holds": ("0::/", V2, {
        "memory.max": 300 * MB, "memory.current": MB, "memory.stat": f"file {2 * MB}"}, 300),
    "v2, nothing used": ("0::/", V2, {"memory.max": 300 * MB}, 300),
    "v2, as much as no machine has": ("0::/", V2, {"memory.max": 2**50}, None),
    "v2, as much as one may have": ("0::/", V2, {"memory.max": 2**50 - MB}, 2**30 - 1),
    "v1, no limit": ("5:memory:/docker/abc", V1, {
        "memory/memory.limit_in_bytes": 9223372036854771712}, None),
}


@pytest.mark.parametrize("name", TREES)
def test_the_tightest_control_group_limits_memory(tmp_path, name):
    own, mount, files, left = TREES[name]
    files = {f"sys/fs/cgroup/{path}": text for path, text in files.items()}
    for path, text in {"proc/self/cgroup": own, "proc/self/mountinfo": mount, **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")
    found = [one.size for one in memory.limits(tmp_path) if one.name.startswith("control group")]
    assert min(found, default=None) == (None if left is None else left * MB)


# --- this process and this machine --------------------------------------------------------------

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def status(key, path="/proc/self/status"):
    """The number of a line there, in bytes."""
    (line,) = (line for line in Path(path).read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024


@linux
def test_memory_is_what_the_system_says():
    held = np.ones(16 * MB, np.uint8)
    assert memory.resident_bytes() == pytest.approx(status("VmRSS"), abs=8 * MB)
    assert memory.peak_bytes() == pytest.approx(status("VmHWM"), abs=8 * MB)
    assert memory.peak_virtual_bytes() == pytest.approx(status("VmPeak"), abs=64 * MB)
    assert memory.peak_bytes() >= memory.resident_bytes() - 8 * MB >= held.nbytes
    total, available = memory.machine_bytes()
    assert total == status("MemTotal", "/proc/meminfo") and 0 < available <= total


@linux
def test_without_proc_the_peak_stands_for_what_is_resident(monkeypatch):
    peak = memory.peak_bytes()

    def refuse(*args, **kwargs):
        raise OSError("no /proc")

    monkeypatch.setattr(memory, "open", refuse, raising=False)
    assert memory.machine_bytes() is None and memory.peak_virtual_bytes() == 0
    monkeypatch.setattr(sys, "platform", "linux")  # kilobytes there, bytes on macOS
    assert memory.resident_bytes() == memory.peak_bytes() >= 0.5 * peak
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.peak_bytes() <= 0.01 * peak
    monkeypatch.setitem(sys.modules, "resource", None)  # Windows
    assert memory.peak_bytes() == 0 and memory.limits(Path("/none")) == []


@pytest.mark.parametrize("lacking", ["MemTotal", "MemAvailable"])
def test_half_of_what_a_machine_has_is_nothing(monkeypatch, lacking):
    monkeypatch.setattr(memory, "_table", lambda path, key: None if key == lacking else 5)
    assert memory.machine_bytes() is None


def test_the_machine_and_ulimit_are_limits_too(monkeypatch, tmp_path):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(memory, "machine_bytes", lambda: (900, 500))
    machine = Limit(500, "memory available on this machine", False)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, 7))
    assert memory.limits(tmp_path) == [machine]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (300, 7))
    assert memory.limits(tmp_path) == [machine, Limit(300, "ulimit -v", True)]
