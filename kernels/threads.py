"""One number of threads for everything in the process: C, BLAS, Numba.

The number is TINYGPT_THREADS, else OMP_NUM_THREADS, else the physical cores this process may use.
Two threads on one core's hyperthreads share its arithmetic units and cache, so they gain a kernel
nothing. A container's share of CPU time is rounded down: a team of two on 1.5 CPUs has used up its
time after three quarters of each period and is stopped for the rest, mostly in the middle of a
kernel. Where every thread works for itself (a tokenizer's workers) hyperthreads do help: without a
number asked for there is one worker for each of them.

How the team behaves. The C kernels run on one OpenMP team. Between two kernels its threads spin for
an eighth to a quarter of a millisecond, so that in a training step each kernel finds them awake;
then they sleep in the system and an idle program uses no CPU. libgomp's own default is to spin for
some 15 ms, which ruins everybody as soon as another program wants a core: a thread spins through
its time slice for a partner that is not running. A step of S, in ms, by length of the spin
(bench/LOG.md):

    GOMP_SPINCOUNT            1000   5000   300000 (libgomp's)
    alone on two cores          31     27       26
    one core taken              48     67      800

BLAS and Numba have teams of their own, which sleep as long as the C backend does all the work.

**Fork.** A child has one thread, whatever its parent had: its kernels go on with that one.
Processes that should each use several are started by "spawn".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from kernels.cgroups import control_groups, read

MOST = 64  # threads that the C kernels can have (c/parallel.h)
VARIABLES = ("TINYGPT_THREADS", "OMP_NUM_THREADS")  # the first that is set decides

_count = 0  # 0: not decided yet
_why = ""  # what it comes from, in words
_asked = False  # somebody chose it, by a variable or by set_num_threads
_orphan = False  # forked from a process that had a team

# Read by libgomp when the first extension loads it; a user's own choice stands.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # pauses of 25 ns (Zen 3) to 50 ns


class Threads(NamedTuple):
    """A number of threads and what it comes from, in words."""

    number: int
    why: str


def get_num_threads() -> int:
    """Threads that every kernel uses.  Raises ValueError for a variable that is no count."""
    global _why, _asked
    if not _count:
        asked = asked_for()
        count, why = asked or default_threads()
        set_num_threads(count)
        _why, _asked = why, asked is not None
    return _count


def get_num_workers() -> int:
    """Threads for work that needs no team: the number asked for, else one for each CPU."""
    return _count if _asked else (asked_for() or usable_cpus()).number


def explain_threads() -> str:
    """What the number of threads comes from, in words."""
    get_num_threads()
    return _why


def set_num_threads(count: int) -> None:
    """Use `count` threads in C, BLAS and Numba from now on.

    Raises ValueError below 1 and above MOST, RuntimeError in a forked child for more than one.
    """
    global _count, _why, _asked
    if _orphan and count != 1:
        raise RuntimeError(
            f"set_num_threads({count}): this process was forked from one whose kernels had "
            "threads, and those do not survive a fork. Stay on one, or start processes by 'spawn'"
        )
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise ValueError(
            f"the number of threads must be an integer from 1 to {MOST}, not {count!r}"
        )
    _count, _why, _asked = count, "set_num_threads", True
    _limit_blas(count)
    if "kernels.c.library" in sys.modules:
        sys.modules["kernels.c.library"].set_threads(count)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


def _after_fork_in_child() -> None:
    """Only the thread that called fork lives on: a team of more would be waited for in vain."""
    global _orphan
    if _count > 1:
        _orphan = True
        set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


def asked_for() -> Threads | None:
    """What the environment asks for, None if nothing.  Raises ValueError for what is no count."""
    for name in VARIABLES:
        text = os.environ.get(name, "").strip()
        if not text:
            continue
        first = text.split(",")[0] if name == "OMP_NUM_THREADS" else text  # 4,2: nested teams
        if not first.isdecimal() or not 1 <= int(first) <= MOST:
            raise ValueError(
                f"{name}={text!r} is not a number of threads; set it to a number from 1 to {MOST}"
            )
        return Threads(int(first), name)
    return None


def default_threads(system: Path = Path("/")) -> Threads:
    """One thread for each physical core, as far as usable_cpus goes.  system: see there."""
    cpus = usable_cpus(system)
    # Hyperthreads of one core list the same siblings: count the distinct lists.
    topology = system / "sys/devices/system/cpu"
    cores = {read(topology / f"cpu{cpu}/topology/thread_siblings_list") for cpu in _allowed()}
    if "" not in cores and len(cores) < cpus.number:
        return Threads(min(len(cores), MOST), "one for each core")
    return cpus


def usable_cpus(system: Path = Path("/")) -> Threads:
    """CPUs within the affinity mask, and no more than the time that control groups allow.

    system: what stands for /, in tests.
    """
    allowed = len(_allowed())
    why = "one for each core" if allowed == os.cpu_count() else "the affinity mask"
    found = [Threads(min(allowed, MOST), why)]
    for group in control_groups("cpu", system):
        quota, period = _quota(group)
        if quota > 0 and period > 0:
            cpus = quota / period
            why = f"{group} allows {cpus:g} CPUs, rounded down to whole ones, at least 1"
            found.append(Threads(max(1, int(cpus)), why))
    return min(found, key=lambda threads: threads.number)


def _allowed() -> set[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows have no affinity mask
        return set(range(os.cpu_count() or 1))


def _quota(group: Path) -> tuple[int, int]:
    """CPU time a period, both in microseconds; 0 for no limit.

    v2 writes both into cpu.max ("150000 100000" or "max 100000"), v1 into files of their own, where
    -1 is no limit.
    """
    quota, _, period = read(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = (read(group / f"cpu.cfs_{what}_us") for what in ("quota", "period"))
    return (int(quota), int(period)) if quota.isdecimal() and period.isdecimal() else (0, 0)


def _limit_blas(count: int) -> None:
    """threadpoolctl walks every loaded library (a millisecond), so only when the number changes."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count, user_api="blas")
