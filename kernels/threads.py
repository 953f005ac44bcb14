"""One number of threads for everything in the process: C, BLAS, Numba.

The default is the number of physical cores this process may use, or TINYGPT_THREADS. Two threads on
one core's hyperthreads share its arithmetic units and cache, so they gain a kernel nothing.

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

import math
import os
import sys
from pathlib import Path

_count = 0  # 0: not decided yet
_orphan = False  # forked from a process that had a team

# Read by libgomp when the first extension loads it; a user's own choice stands.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # pauses of 25 ns (Zen 3) to 50 ns


def get_num_threads() -> int:
    """Threads that every kernel uses.  Raises ValueError for a TINYGPT_THREADS that is no count."""
    if not _count:
        wanted = os.environ.get("TINYGPT_THREADS")
        set_num_threads(_parse(wanted) if wanted else default_threads())
    return _count


def set_num_threads(count: int) -> None:
    """Use `count` threads in C, BLAS and Numba from now on.  Raises ValueError below 1."""
    global _count
    if _orphan and count != 1:
        raise RuntimeError(
            f"set_num_threads({count}): this process was forked from one whose kernels had "
            "threads, and those do not survive a fork. Stay on one, or start processes by 'spawn'"
        )
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"the number of threads must be an integer of at least 1, not {count!r}")
    _count = count
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


def default_threads() -> int:
    """Physical cores within the affinity mask, and no more than a container's share of CPU time."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows have no affinity mask
        return os.cpu_count() or 1
    # Hyperthreads of one core list the same siblings: count the distinct lists.
    cores = {
        _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in allowed
    }
    count = len(allowed) if "" in cores else len(cores)
    return max(1, min(count, _container_cpus()))


def _container_cpus() -> int:
    """CPUs that the cgroup's quota is worth ("max" or "200000 100000"), rounded up."""
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    return math.ceil(int(quota) / int(period)) if quota.isdigit() and period.isdigit() else 1 << 30


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _parse(text: str) -> int:
    if not text.strip().isdigit() or int(text) < 1:
        raise ValueError(
            f"TINYGPT_THREADS={text!r} is not a number of threads; set it to 1 or more"
        )
    return int(text)


def _limit_blas(count: int) -> None:
    """threadpoolctl walks every loaded library (a millisecond), so only when the number changes."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count, user_api="blas")
