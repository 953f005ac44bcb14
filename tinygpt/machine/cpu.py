"""The processor, as the system names it."""

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
