"""How much memory this process uses and how much the machine, or its container, has left."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from minigrad import control_groups

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes() -> int:
    """Resident memory now (bytes); on systems without /proc the peak so far, 0 if unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """Largest resident memory of this process so far (bytes), 0 where it cannot be known."""
    peak = _status("VmHWM")  # getrusage's would begin with what the parent had when it forked
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_virtual_bytes() -> int:
    """Largest address space of this process so far (bytes), 0 where it cannot be known."""
    return _status("VmPeak") or 0


def machine_bytes() -> tuple[int, int] | None:
    """(total, available) bytes of memory here; None where there is no /proc/meminfo."""
    total, available = (_table("/proc/meminfo", key) for key in ("MemTotal", "MemAvailable"))
    return None if total is None or available is None else (total, available)


@dataclass(frozen=True)
class Limit:
    """Memory a new process may use.

    size: bytes.  name: what sets it.  virtual: it counts address space, not resident memory.
    """

    size: int
    name: str
    virtual: bool = False


def limits(system: Path = Path("/")) -> list[Limit]:
    """What bounds the memory of a process here: the machine, its control groups, ulimit -v.

    system: what stands for / where control groups are looked for, in tests.
    """
    found = []
    machine = machine_bytes()
    if machine is not None:
        found.append(Limit(machine[1], "memory available on this machine"))
    found += _control_groups(system)
    try:
        import resource
    except ImportError:  # Windows
        return found
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(Limit(soft, "ulimit -v", virtual=True))
    return found


def _control_groups(system: Path) -> list[Limit]:
    """What each group of the memory controller still allows to this process."""
    lefts = ((group, _group_left(group)) for group in control_groups("memory", system))
    return [Limit(left, f"control group {group}") for group, left in lefts if left is not None]


def _group_left(group: Path) -> int | None:
    """Bytes that a group leaves, None without a limit.

    What it holds of files is given up when memory is needed. Beyond v2's memory.high a group is
    slowed down until it hardly moves, which is a limit too.
    """
    found = [_number(group / name) for name in ("memory.max", "memory.high", _V1_LIMIT)]
    allowed = min((size for size in found if size is not None), default=2**63)
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes") or 0
    if allowed >= 2**50:  # v1 writes a number of this kind where there is no limit
        return None
    stat = str(group / "memory.stat")
    cached = _table(stat, "file", unit=1) or _table(stat, "total_cache", unit=1) or 0
    return max(0, allowed - max(0, used - cached))


_V1_LIMIT = "memory.limit_in_bytes"


def _number(path: Path) -> int | None:
    """What a file of one number holds, None where there is none or it says "max"."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _status(key: str) -> int | None:
    return _table("/proc/self/status", key)


def _table(path: str, key: str, unit: int = 1024) -> int | None:
    """The number after `key` in a file of "key: number" or "key number" lines, in bytes."""
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                words = line.replace(":", " ").split()
                if words and words[0] == key:
                    return int(words[1]) * unit
    except OSError:
        pass  # not Linux, or no such controller
    return None
