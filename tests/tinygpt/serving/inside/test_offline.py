"""The tour needs no network, from a run's first checkpoint on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinygpt
from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.inside.test_runs import SMALL


def namespaces():
    """Whether this machine lets us have a network namespace of our own."""
    return shutil.which("unshare") and not subprocess.run(
        ["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
@pytest.mark.skipif(not namespaces(), reason="no network namespaces: Linux, as root")
def test_the_tour_in_an_empty_network(tiny_text, tmp_path):
    tinygpt.train("S", tmp_path / "run", [
        f"data.source={tiny_text}", *SMALL, "training.steps=20", "training.eval_every=none",
        "training.sample_every=none", "training.history_every=10",
    ])
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "tests.tinygpt.serving.inside.offline",
         tmp_path / "run", tmp_path / "browser"],
        capture_output=True, text=True, cwd=Path(__file__).parents[4],
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["0", "20"]
    for stops in found.values():
        assert len(stops) == 10 and len({title for title, _ in stops}) >= 7
        assert [wrong for _, wrong in stops if wrong] == []
