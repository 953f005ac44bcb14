"""bench/sanitizers.py without a sanitizer: its draws run, and its copy is changed as it says."""

import json
import subprocess
import sys

import pytest

from bench import sanitizers

pytest.importorskip("kernels.c", reason="the C extension is not built")


def test_drawn_calls_run_and_are_counted():
    wanted = {"calls": 60, "seed": 1, "isas": ["generic", "avx2"]}
    done = subprocess.run(
        [sys.executable, "-m", "bench.sanitizers_calls", json.dumps(wanted)],
        capture_output=True, text=True, cwd=sanitizers.ROOT,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["calls"] == sum(told["ops"].values()) >= 60


@pytest.mark.parametrize("which", sanitizers.SANITIZERS)
def test_the_copy_is_compiled_with_the_sanitizer(which, tmp_path):
    sanitizer = sanitizers.SANITIZERS[which]
    sanitizers.copied(tmp_path, sanitizer)
    for script in ("kernels/c/build.py", "tinygpt/tokenizer/c/build.py"):
        assert all(repr(flag) in (tmp_path / script).read_text() for flag in sanitizer.flags)
    assert "PARALLEL_WORTH 0 " in (tmp_path / "kernels/c/parallel.h").read_text()
    assert (tmp_path / "kernels/c/sanitizers_team.c").exists() == (which == "thread")
    assert not list(tmp_path.glob("kernels/c/*.so"))


def test_reports_are_counted_by_their_first_line():
    text = (
        "==7==ERROR: AddressSanitizer: heap-buffer-overflow on\n#0 in f\n"
        "panel.h:3:1: runtime error: signed integer overflow\nWARNING: ThreadSanitizer: data race\n"
    )
    assert len(sanitizers.REPORT.findall(text)) == 3
