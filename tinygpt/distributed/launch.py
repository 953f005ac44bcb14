"""`tinygpt train --ranks 4`: start mpirun, and go on with those that are left when one is lost.

mpirun ends every process when one dies, and nothing is lost but the steps since the last
checkpoint. So going on is starting again, with --resume, on the machines that still answer. A
training that fails for another reason fails again: after FRUITLESS starts without a new checkpoint
that is the end.

Without --hosts all ranks are on this machine: to try, or for a machine of several sockets.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygpt.errors import UsageError, UserError
from tinygpt.machine.signals import StopSignals
from tinygpt.runs.checkpoint import listed

SSH = 22
ANSWER = 5.0  # seconds
FRUITLESS = 3  # starts in a row that saved nothing
LOOK = 0.1  # seconds
FORWARDED = (
    "TINYGPT_THREADS", "OMP_NUM_THREADS", "KERNELS_BACKEND", "KERNELS_ISA", "TINYGPT_RANK_TIMEOUT",
)
OVER = (0, 2, 130)  # exit codes after which nobody goes on: done, asked wrongly, interrupted


@dataclass(frozen=True)
class Host:
    """A line of a host file.  slots: ranks that it takes."""

    name: str
    slots: int = 1


def read_hosts(path: Path) -> list[Host]:
    """Lines `name` or `name slots=2`, as Open MPI reads them; # begins a comment.

    Raises UsageError for a file or a line that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read --hosts {path}: {error}. Give a file of names.") from None
    hosts = []
    for line in lines:
        words = line.partition("#")[0].split()
        if not words:
            continue
        name, *rest = words
        slots = rest[0].removeprefix("slots=") if rest else "1"
        if len(rest) > 1 or not slots.isdecimal() or int(slots) < 1:
            raise UsageError(f"{path} has a line {line!r}. Write a name, or a name and slots=2.")
        hosts.append(Host(name, int(slots)))
    if not hosts:
        raise UsageError(f"{path} names no host. Write one name a line.")
    return hosts


def answers(host: Host) -> bool:
    """Whether a machine takes ssh's connections."""
    try:
        socket.create_connection((host.name, SSH), ANSWER).close()
        return True
    except OSError:
        return False


def launch(
    ranks: int, hosts: Sequence[Host], arguments: Sequence[str], out: Path,
    say: Callable[[str], object], alive: Callable[[Host], bool] = answers,
) -> int:
    """Run `tinygpt ARGUMENTS` as so many ranks until it has ended.  Returns the exit code.

    hosts: where, none for this machine.  out: the run's folder.  alive: whether one answers.
    Raises UserError, naming the rank, for a host that does not answer at the beginning.
    """
    _check(ranks, hosts, alive)
    with StopSignals() as signals:
        return _until_over(ranks, hosts, list(arguments), out, say, alive, signals)


def _until_over(
    ranks: int, hosts: Sequence[Host], arguments: list[str], out: Path,
    say: Callable[[str], object], alive: Callable[[Host], bool], signals: StopSignals,
) -> int:
    fruitless = 0
    while True:
        before = _saved(out)
        code = _run(ranks, hosts, arguments, signals)
        now = _saved(out)
        if signals.received:
            if now >= 0:
                say(f"stopped by {signals.received}, saved at step {now}; --resume goes on")
            return 130
        if code in OVER:
            return code
        fruitless = 0 if now > before else fruitless + 1
        lost = [host for host in hosts if not alive(host)]
        hosts = [host for host in hosts if host not in lost]
        if lost:
            ranks = min(ranks, sum(host.slots for host in hosts))
        if now < 0 or fruitless == FRUITLESS or ranks < 1:
            return 1
        gone = f"{', '.join(host.name for host in lost)} does not answer; " if lost else ""
        say(f"{gone}going on from step {now} with {ranks} rank{'s' * (ranks > 1)}")
        if "--resume" not in arguments:
            arguments.append("--resume")


def _check(ranks: int, hosts: Sequence[Host], alive: Callable[[Host], bool]) -> None:
    slots = sum(host.slots for host in hosts)
    if ranks < 1 or (hosts and ranks > slots):
        rule = f"from 1 to {slots}, as many as the hosts have slots" if hosts else "1 or more"
        raise UsageError(f"--ranks {ranks} must be {rule}.")
    first = 0
    for host in hosts:
        if first < ranks and not alive(host):
            raise UserError(
                f"rank {first} ({host.name}) does not answer on port {SSH} within {ANSWER:g} s. "
                "Switch it on and start ssh there, or take it out of the host file."
            )
        first += host.slots


def _run(
    ranks: int, hosts: Sequence[Host], arguments: Sequence[str], signals: StopSignals
) -> int:
    """mpirun's exit code.  A signal that asks to stop is passed on: the ranks save and leave."""
    environment = dict(os.environ)
    if hasattr(os, "getuid") and os.getuid() == 0:  # in a container; Open MPI wants to be asked
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    command = [find_mpirun(), "-n", str(ranks), "--map-by", ":OVERSUBSCRIBE"]
    for name in FORWARDED:
        command += ["-x", name] if name in os.environ else []
    with tempfile.NamedTemporaryFile("w", prefix="tinygpt-hosts-") as file:
        if hosts:
            file.write("".join(f"{host.name} slots={host.slots}\n" for host in hosts))
            file.flush()
            command += ["--hostfile", file.name]
        process = subprocess.Popen([*command, sys.executable, "-m", "tinygpt", *arguments],
                                   env=environment)
        told = False
        while process.poll() is None:
            time.sleep(LOOK)
            if signals.received and not told:
                told = True
                if signals.received != "Ctrl-C":  # that one the terminal has sent to mpirun too
                    process.terminate()
        return process.returncode


def find_mpirun() -> str:
    """The mpirun beside this Python, else the one on PATH.  Raises UserError without any."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise UserError('--ranks needs mpirun, and there is none. pip install "tinygpt[mpi]"')
    return found


def _saved(out: Path) -> int:
    """The newest checkpoint's step; 0 for a run without one, -1 without a run."""
    if not (out / "config.json").exists():
        return -1
    return max((one.step for one in listed(out / "checkpoints")), default=0)
