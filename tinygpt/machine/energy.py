"""Energy that the processor took, where the machine tells: Intel's and AMD's RAPL under Linux.

    meter = Meter.find()            None where nothing tells
    meter.joules()                  since it was found

The counter is the whole package's: what else runs counts too. It wraps around after some hours, so
it must be asked more often than that.
"""

from __future__ import annotations

from pathlib import Path

PACKAGES = Path("/sys/class/powercap")


class Meter:
    """files: a counter of microjoules for each package, with the value that it wraps at."""

    def __init__(self, files: list[tuple[Path, int]]):
        self._files, self._total = files, 0
        self._last = [_number(path) or 0 for path, _ in files]

    @classmethod
    def find(cls, root: Path = PACKAGES) -> Meter | None:
        """None where there is no counter or it may not be read (it often takes root's rights)."""
        files = []
        for folder in sorted(root.glob("intel-rapl:*")):
            if folder.name.count(":") > 1:  # a part of a package
                continue
            most, now = (_number(folder / name) for name in ("max_energy_range_uj", "energy_uj"))
            if most is not None and now is not None:
                files.append((folder / "energy_uj", most))
        return cls(files) if files else None

    def joules(self) -> float:
        """Taken since this was made, all packages together."""
        for i, (path, most) in enumerate(self._files):
            now = _number(path)
            if now is not None:
                self._total += (now - self._last[i]) % (most + 1)
                self._last[i] = now
        return self._total / 1e6


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None  # not there, or not for us
