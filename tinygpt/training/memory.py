"""How much memory this process uses and how much the machine, or its container, has left."""

from __future__ import annotations

import os
import sys
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
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux: ask the C library
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_bytes() -> int | None:
    """Memory a new process could use without swapping, the tightest limit found; None if unknown.

    Looks at MemAvailable, the control group's limit (containers, systemd) and RLIMIT_AS.
    """
    limits = [_meminfo("MemAvailable"), _control_group_left(), _address_space_left()]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def _meminfo(key: str) -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return None


def _control_group_left() -> int | None:
    """What the memory controller still allows, for cgroup v2 and v1."""
    root = Path("/sys/fs/cgroup")
    for limit, used in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory/memory.limit_in_bytes", root / "memory/memory.usage_in_bytes"),
    ):
        try:
            allowed = limit.read_text(encoding="ascii").strip()
            if allowed != "max" and int(allowed) < 2**50:
                return int(allowed) - int(used.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return None


def _address_space_left() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
