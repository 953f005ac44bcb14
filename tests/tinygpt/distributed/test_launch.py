"""--ranks: host files, machines that do not answer, and going on when a rank is lost."""

import os
import signal
import sys
import threading
import time

import pytest

from bench.ranks_kill import ranks_of
from tests.tinygpt.distributed.test_mpirun import needs_mpi
from tests.tinygpt.distributed.training import config, same_bytes, train
from tinygpt.distributed import launch as launching
from tinygpt.distributed.launch import Host, launch, read_hosts
from tinygpt.errors import UsageError, UserError

TRAINS = """
import sys
from pathlib import Path
ranks, out, plan = int(sys.argv[2]), Path({out!r}), Path({plan!r})
step, code = map(int, plan.read_text().split()[:2])
plan.write_text(" ".join(plan.read_text().split()[2:]))
(out / "checkpoints" / f"step-{{step:08}}").mkdir(parents=True, exist_ok=True)
(out / "config.json").touch()
Path({log!r}).open("a").write(f"{{ranks}} {{' '.join(sys.argv[3:])}}\\n")
sys.exit(code)
"""


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """An mpirun that leaves a checkpoint and an exit code, as a plan says."""
    out, log = tmp_path / "run", tmp_path / "log"
    script = tmp_path / "mpirun"
    script.write_text(f"#!{sys.executable}" + TRAINS.format(
        out=str(out), plan=str(tmp_path / "plan"), log=str(log)
    ))
    script.chmod(0o755)
    monkeypatch.setattr(launching, "find_mpirun", lambda: str(script))

    def launched(plan, ranks, hosts=(), alive=lambda host: True):
        (tmp_path / "plan").write_text(plan)
        said = []
        code = launch(ranks, hosts, ["train", "S"], out, said.append, alive)
        return code, said, log.read_text().splitlines()

    return launched


def test_a_training_that_ends_is_started_once(pretended):
    code, said, started = pretended("20 0", 3)
    assert (code, said, len(started)) == (0, [], 1) and started[0].endswith("tinygpt train S")


def test_what_lost_a_rank_goes_on_from_its_checkpoint(pretended):
    code, said, started = pretended("5 137 9 1 20 0", 3)
    assert code == 0
    assert said == ["going on from step 5 with 3 ranks", "going on from step 9 with 3 ranks"]
    assert [line.endswith("train S --resume") for line in started] == [False, True, True]


def test_a_machine_that_is_gone_is_left_out(pretended):
    hosts = [Host("one", 2), Host("two"), Host("three")]
    calls = []

    def alive(host):
        calls.append(host.name)
        return host.name != "two" or calls.count("two") == 1

    code, said, started = pretended("5 137 20 0", 4, hosts, alive)
    assert code == 0 and [line[0] for line in started] == ["4", "3"]
    assert said == ["two does not answer; going on from step 5 with 3 ranks"]


def test_what_fails_without_getting_on_ends(pretended):
    code, said, started = pretended("5 1 5 1 5 1 5 1 5 1", 2)
    assert code == 1 and len(started) == 4 and len(said) == 3


def test_a_signal_that_asks_to_stop_is_passed_on_and_nothing_starts_again(pretended, tmp_path):
    """What mpirun starts here waits for a minute, unless it is told."""
    (tmp_path / "mpirun").write_text(
        f"#!{sys.executable}\nimport signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"open({str(tmp_path / 'log')!r}, 'a').write('one start\\n')\ntime.sleep(60)\n"
    )

    def soon():
        while not (tmp_path / "log").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=soon, daemon=True).start()
    code, said, started = pretended("", 2)
    assert (code, said, started) == (130, [], ["one start"])


def test_a_request_that_could_never_work_is_not_repeated(pretended):
    assert pretended("0 2", 2)[0] == 2
    assert pretended("0 130", 2)[0] == 130


def test_a_host_that_does_not_answer_is_named_with_its_rank():
    hosts = [Host("one", 2), Host("two")]
    with pytest.raises(UserError, match=r"rank 2 \(two\) does not answer on port 22"):
        launch(3, hosts, [], None, print, lambda host: host.name == "one")


def test_more_ranks_than_slots_are_refused():
    with pytest.raises(UsageError, match="--ranks 4 must be from 1 to 3"):
        launch(4, [Host("one", 2), Host("two")], [], None, print, lambda host: True)
    with pytest.raises(UsageError, match="--ranks 0 must be 1 or more"):
        launch(0, [], [], None, print)


def test_a_host_file_is_read_as_open_mpi_reads_it(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# school\n\nlenovo-1 slots=2  # by the window\nlenovo-2\n")
    assert read_hosts(path) == [Host("lenovo-1", 2), Host("lenovo-2", 1)]


@pytest.mark.parametrize("text, message", [
    ("", "names no host"), ("a slots=0", "'a slots=0'"), ("a b c", "'a b c'"),
    ("a slots=x", "Write a name"),
])
def test_a_host_file_that_is_none_is_refused(text, message, tmp_path):
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_hosts(path)
    with pytest.raises(UsageError, match="cannot read --hosts"):
        read_hosts(tmp_path / "nowhere")


@pytest.mark.slow
@needs_mpi
def test_a_run_that_loses_ranks_ends_with_the_right_bytes(tiny_text, tmp_path):
    """bench/ranks_kill.py does it twenty times."""
    out = tmp_path / "run"
    asked = config(tiny_text, steps=100, checkpoint_every=10, eval_every=None)
    train(1, tmp_path / "whole", asked)
    settings = [f"training.{k}={v}" for k, v in asked.to_dict()["training"].items()]
    settings += [f"model.{k}={asked.to_dict()['model'][k]}"
                 for k in ("n_layers", "n_heads", "d_model", "context", "dropout")]
    settings += [f"data.source={tiny_text}", "data.split=0.9,0.1,0", "data.by_position=true"]
    words = [word for one in settings for word in ("--set", one)]
    killed = []

    def kill():
        while not killed:
            time.sleep(0.02)
            saved = len(list((out / "checkpoints").glob("step-*")))
            killed.extend(list(ranks_of(out).values())[:1] if saved > 1 else [])
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    said = []
    code = launch(2, [], ["train", "--out", str(out), *words], out, said.append)
    assert code == 0 and len(said) == 1
    assert same_bytes(out, tmp_path / "whole")
