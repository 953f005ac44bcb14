"""Facts about the machine, from the system itself, for doctor, quickstart and bench."""

from __future__ import annotations

import platform


def cpu_name() -> str:
    """The processor's name as its maker writes it, or its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux: the platform module's answer is all there is
    return platform.processor() or platform.machine()


def memory_bytes() -> tuple[int, int] | None:
    """(total, available) bytes of memory; None where /proc/meminfo does not exist."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as info:
            sizes = dict(line.split(":", 1) for line in info)
        total, available = (int(sizes[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
        return total * 1024, available * 1024
    except (OSError, KeyError):
        return None
