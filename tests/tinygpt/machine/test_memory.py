"""What memory a process may use: the tightest of its control groups, old and new, nested."""

import pytest

from tinygpt.machine import memory

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
    "v2, files are given up": ("0::/", V2, {
        "memory.max": 300 * MB, "memory.current": 290 * MB,
        "memory.stat": f"anon 5\nfile {90 * MB}"}, 100),
    "v2, nothing left": ("0::/", V2, {"memory.max": MB, "memory.current": 3 * MB}, 0),
    "v2, no limit": ("0::/", V2, {"memory.max": "max", "memory.current": 5}, None),
    "v1, a container that sees its own part": ("5:memory:/docker/abc", V1, {
        "memory/memory.limit_in_bytes": 300 * MB, "memory/memory.usage_in_bytes": 100 * MB,
        "memory/memory.stat": f"cache 7\ntotal_cache {10 * MB}"}, 210),
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
