"""How much memory this process uses and how much the machine, or its container, has left."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

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


def limits() -> list[Limit]:
    """What bounds the memory of a process here: the machine, its control group, ulimit -v."""
    found = []
    machine = machine_bytes()
    if machine is not None:
        found.append(Limit(machine[1], "memory available on this machine"))
    found += _control_groups()
    try:
        import resource
    except ImportError:  # Windows
        return found
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(Limit(soft, "ulimit -v", virtual=True))
    return found


def _control_groups() -> list[Limit]:
    """What the memory controller still allows to this process, cgroup v2 and v1."""
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return []  # not Linux
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, files = "/sys/fs/cgroup", ("memory.max", "memory.current", "file")
        elif "memory" in controllers.split(","):
            root = "/sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
        else:
            continue
        folder = Path(root + name)
        for group in (folder, *folder.parents):  # any ancestor may be the tightest
            left = _group_left(group, *files)
            if left is not None:
                found.append(Limit(left, f"control group {group}"))
            if str(group) == root:
                break
    return found


def _group_left(folder: Path, limit: str, used: str, cache: str) -> int | None:
    try:
        allowed = (folder / limit).read_text(encoding="ascii").strip()
        if allowed == "max" or int(allowed) >= 2**50:
            return None
        busy = int((folder / used).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    cached = _table(str(folder / "memory.stat"), cache, unit=1) or 0  # given up when needed
    return int(allowed) - max(0, busy - cached)


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
