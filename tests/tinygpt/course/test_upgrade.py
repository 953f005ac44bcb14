"""A learner's folder, made by an earlier version: a newer one changes no byte of it, and reads it.

Both versions are installed from wheels, without their C: the course does not need it.
"""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.tinygpt.course.author import SOLUTIONS

ROOT = Path(__file__).parents[3]
EARLIER = "4ab3569"  # fifty-six exercises, before there were any of part 15 on
BEGUN = ("shapes", "tanh", "softmax-hunt", "unigram", "top-p")

pytestmark = [
    pytest.mark.slow,  # two wheels are built
    pytest.mark.skipif(
        subprocess.run(["git", "cat-file", "-e", EARLIER], cwd=ROOT, capture_output=True).returncode
        != 0,
        reason=f"the history here does not reach back to {EARLIER}",
    ),
]


def wheel_of(commit: str, folder: Path) -> Path:
    """The wheel of a commit."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder / "source", filter="data")
    pip("wheel", "--no-deps", "-w", folder, folder / "source")
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "-q", *map(str, words)]
    without_c = {**os.environ, "CC": "false"}
    done = subprocess.run(command, env=without_c, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    """Call `tinygpt learn` of what is installed, in the learner's folder: (exit code, output)."""
    installed, hers = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("hers")

    def call(*words):
        command = [sys.executable, "-s", "-m", "tinygpt", "learn", *words]
        environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "100"}
        done = subprocess.run(command, cwd=hers, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def install(commit):
        wheel = wheel_of(commit, tmp_path_factory.mktemp("wheel"))
        pip("install", "--no-deps", "--upgrade", "--target", installed, wheel)

    call.install, call.folder, call.installed = install, hers / "learn", installed
    return call


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_upgrade_keeps_every_byte_and_goes_on_where_she_was(learn):
    learn.install(EARLIER)
    for name in BEGUN:
        assert learn("start", name)[0] == 0
    (learn.folder / "tanh.py").write_bytes((SOLUTIONS / "first/tanh.py").read_bytes())
    assert learn("check", "tanh")[0] == 0
    assert learn("hint", "top-p")[0] == 0
    assert learn("check", "top-p")[0] == 1  # nothing is written yet
    before = files(learn.folder)

    learn.install("HEAD")
    told = learn("list")
    assert told[0] == 0 and "minhash" in told[1]  # it is the newer one that answers
    assert files(learn.folder) == before

    code, said = learn("check", "tanh")
    assert code == 0 and "It holds" in said
    after = files(learn.folder)
    assert {n: t for n, t in after.items() if n != "progress.json"} == {
        n: t for n, t in before.items() if n != "progress.json"
    }
    assert learn("check", "unigram")[0] == 1
    assert learn("start", "minhash")[0] == 0
    assert learn("progress")[0] == 0
