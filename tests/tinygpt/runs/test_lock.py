"""One writer at a time in a run's folder, and nobody has to clean up after a crash."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from tinygpt.errors import UserError
from tinygpt.runs import lock
from tinygpt.runs.lock import sole_writer
from tinygpt.runs.run import new_run

fcntl = pytest.importorskip("fcntl")

HOLDER = """
import sys, time
from pathlib import Path
from tinygpt.runs.lock import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_a_killed_one_holds_nothing(holder, tmp_path):
    with pytest.raises(UserError, match="is in use: another training writes into it"):
        with sole_writer(tmp_path):
            pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with sole_writer(tmp_path) as locked:
        assert locked
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ends_frees_the_lock(holder, tmp_path):
    holder.communicate(b"")
    with sole_writer(tmp_path):
        pass


def test_one_thread_may_hold_it_twice_and_another_may_not(tmp_path):
    refused = []

    def other():
        try:
            with sole_writer(tmp_path):
                pass
        except UserError as error:
            refused.append(str(error))

    with sole_writer(tmp_path), sole_writer(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_a_lock_that_was_given_back_is_taken_again_not_remembered(tmp_path):
    refused = []

    def other():
        with pytest.raises(UserError, match="is in use"), sole_writer(tmp_path):
            pass
        refused.append(True)

    with sole_writer(tmp_path) as outer, sole_writer(tmp_path) as inner:
        assert outer is inner is True
    with sole_writer(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == [True]


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot open .*none: No such file.*Is it still there"):
        with sole_writer(tmp_path / "none"):
            pass


@pytest.mark.parametrize("number", lock.CANNOT)
def test_a_file_system_that_cannot_lock_is_written_all_the_same(tmp_path, monkeypatch, number):
    def flock(handle, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with sole_writer(tmp_path) as locked:
        assert locked is False


def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch):
    def flock(handle, how):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UserError, match="Input/output error"), sole_writer(tmp_path):
        pass


def test_windows_locks_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    with sole_writer(tmp_path) as locked:
        assert locked is False


def test_a_run_that_came_to_nothing_leaves_no_folders(tmp_path):
    path = tmp_path / "a/b/run"
    with pytest.raises(KeyError), new_run(path):
        assert path.is_dir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), new_run(path):
        (path / "tokens").mkdir()
        raise KeyError
    assert (path / "tokens").is_dir()


def test_a_run_is_made_by_one_of_two_at_once(holder, tmp_path):
    with pytest.raises(UserError, match="is in use"), new_run(tmp_path):
        pass
