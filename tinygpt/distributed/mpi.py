"""Processes that mpirun has started, on one machine or on many, and the lines between them.

mpi4py is imported here and nowhere else, and only when mpirun has started this process: without it
nothing changes. It works with any MPI; `pip install "tinygpt[mpi]"` brings Open MPI's wheel: its
mpirun says which rank died and leaves the others time to speak (MPICH's ends them within 10 ms).

A rank that is dead or cut off sends nothing, and MPI waits for it without end. So a thread sends
every other rank a byte now and then: whoever is silent for SILENCE seconds is taken for lost, and
every other process ends with a sentence that names it.

Read next: start.py.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.distributed.communicator import TALK, Arrays, Communicator, Pending
from tinygpt.errors import UsageError, UserError

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # set by Open MPI's mpirun; by MPICH's and Intel's
SILENCE = 30.0  # seconds; TINYGPT_RANK_TIMEOUT sets another number
BEAT = 1.0  # seconds between two signs of life
BEATS = 32000  # their tag: above every channel (a bucket's number), below the least upper bound
REFUSED = 1  # exit code of a rank that goes because another has gone


def started_ranks() -> int:
    """How many processes mpirun has started together with this one; 1 without mpirun."""
    sizes = [os.environ[name] for name in SIZES if name in os.environ]
    return int(sizes[0]) if sizes else 1


def under_mpirun() -> bool:
    """Whether mpirun has started this process, alone or with others."""
    return any(name in os.environ for name in SIZES)


def silence() -> float:
    """Seconds after which a silent rank is lost.  Raises UsageError for a setting that is none."""
    text = os.environ.get("TINYGPT_RANK_TIMEOUT", str(SILENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds >= 3 * BEAT:
        raise UsageError(
            f"TINYGPT_RANK_TIMEOUT = {text!r} is no time. Give seconds, at least {3 * BEAT:g}."
        )
    return seconds


def what_is_here() -> str:
    """What `tinygpt doctor` says; nothing is imported for it."""
    if find_spec("mpi4py") is None:
        return 'not installed; pip install "tinygpt[mpi]" brings it, to train on several machines'
    mpirun = Path(sys.executable).with_name("mpirun")
    beside = f"start with {mpirun}" if mpirun.exists() else "no mpirun beside this Python"
    return f"mpi4py {version('mpi4py')}; {beside}"


class MPICommunicator(Communicator):
    """This process's lines to the others that mpirun has started.

    One thread at a time calls MPI, under a lock: the loop's, the courier, the sender of beats.
    Raises UserError where mpi4py or its MPI is missing, or is not of the mpirun that started this.
    """

    def __init__(self) -> None:
        self._mpi = _import_mpi()
        self._world = self._mpi.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        if self.size != started_ranks():
            raise UserError(
                f"mpirun has started {started_ranks()} processes, but {_library(self._mpi)} sees "
                f"{self.size}: they are of two MPIs. Start with the mpirun beside this Python: "
                f"{Path(sys.executable).with_name('mpirun')}"
            )
        self._lock = threading.Lock()
        self.names = [f"process {k}" for k in range(self.size)]
        self.limit = silence()
        self.names = self.texts(self._mpi.Get_processor_name(), self.limit)
        self._over = threading.Event()
        threading.Thread(target=self._beat, name="beats", daemon=True).start()

    def exchange(self, send: Arrays, receive: Arrays, channel: int = TALK) -> Pending:
        requests, peers = [], []
        with self._lock:
            for k in self.others():
                into, out = receive[k], send[k]
                if into is not None and into.size:
                    requests.append(self._world.Irecv(_bytes(into), k, channel))
                    peers.append(k)
                if out is not None and out.size:
                    requests.append(self._world.Isend(_bytes(out), k, channel))
                    peers.append(k)
        return _Requests(self, requests, peers)

    def test(self, request: Any) -> bool:
        """Whether a request is done."""
        with self._lock:
            return bool(request.Test())

    def close(self) -> None:
        """All is done at all ranks: leave MPI in order."""
        self.barrier()
        self._over.set()
        self._mpi.Finalize()

    def _beat(self) -> None:
        """Send signs of life, look for those of others, and end this process if one has none."""
        beats = {k: _Beats(self, k) for k in self.others()}
        before = time.monotonic()
        while not self._over.wait(BEAT):
            now = time.monotonic()
            asleep, before = now - before > self.limit / 2, now
            with self._lock:
                if self._over.is_set():
                    return
                lost = [k for k, line in beats.items() if line.silent(now, asleep) > self.limit]
            if lost:
                self._leave(lost)

    def _leave(self, lost: list[int]) -> None:
        """End at once, wherever the main thread is: what it waits for will not come."""
        if self.rank == min(set(range(self.size)) - set(lost)):  # one of those that are left speaks
            names = " and ".join(self.name(k) for k in lost)
            sys.stderr.write(
                f"\ntinygpt: {names} has not been heard of for {self.limit:.0f} s: every rank ends "
                "here. Go on from the last checkpoint with --resume, with or without it.\n"
            )
            sys.stderr.flush()
        os._exit(REFUSED)


class _Beats:
    """The signs of life to and from one rank."""

    def __init__(self, communicator: MPICommunicator, rank: int):
        self._world, self._rank = communicator._world, rank
        self._out, self._in = np.zeros(1, np.uint8), np.zeros(1, np.uint8)
        self._sent: Any = None
        self._wanted: Any = None
        self._heard = time.monotonic()

    def silent(self, now: float, asleep: bool) -> float:
        """Seconds since the last sign.  asleep: it was this machine that was not there."""
        if self._wanted is None:
            self._wanted = self._world.Irecv(self._out, self._rank, BEATS)
        if self._sent is None or self._sent.Test():
            self._sent = self._world.Isend(self._in, self._rank, BEATS)
        while self._wanted.Test():
            self._heard = now
            self._wanted = self._world.Irecv(self._out, self._rank, BEATS)
        if asleep:
            self._heard = now
        return now - self._heard


class _Requests(Pending):
    def __init__(self, communicator: MPICommunicator, requests: list[Any], peers: list[int]):
        self._communicator, self._left = communicator, list(zip(requests, peers, strict=True))

    def missing(self) -> list[int]:
        self._left = [(r, k) for r, k in self._left if not self._communicator.test(r)]
        return [k for _, k in self._left]


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _import_mpi() -> Any:
    """mpi4py.MPI, initialised.  Raises UserError with the command that brings it."""
    try:
        import mpi4py

        mpi4py.rc.thread_level = "serialized"
        mpi4py.rc.finalize = False  # a process that fails must not wait for the others at its end
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"mpirun has started {started_ranks()} processes, but here ({platform.node()}) "
            f"MPI cannot be used: {str(error).splitlines()[0]}. Install it on every machine: "
            'pip install "tinygpt[mpi]"'
        ) from error
    return MPI


def _library(mpi: Any) -> str:
    return str(mpi.Get_library_version()).split(",")[0].split("\n")[0].strip("\x00 ")
