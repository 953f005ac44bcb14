"""Sharing a laptop: give way to other programs, stay cool, respect the battery, stop on time.

Sensors are read where Linux exposes them, /sys/class/thermal and /sys/class/power_supply; where it
does not, asking for them is an error instead of a promise that nobody keeps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tinygpt.errors import UsageError, UserError

THERMAL = Path("/sys/class/thermal")
POWER = Path("/sys/class/power_supply")
COOLER = 5.0  # degrees below the limit before going on
LOOK_EVERY = 5.0  # seconds between two readings


def give_way() -> None:
    """Run at the lowest priority: whatever else runs on this machine goes first."""
    if not hasattr(os, "nice"):
        raise UserError("--nice is not available on this system. Leave it out.")
    os.nice(19)


def temperature(folder: Path = THERMAL) -> float | None:
    """The hottest sensor in degrees Celsius, None if there is none."""
    found = []
    for path in folder.glob("thermal_zone*/temp"):
        try:
            found.append(int(path.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            continue  # a sensor that is asleep
    return max(found, default=None)


def on_battery(folder: Path = POWER) -> bool:
    """Whether a battery is being used up at this moment."""
    for path in folder.glob("*/status"):
        try:
            if path.read_text(encoding="ascii").strip() == "Discharging":
                return True
        except OSError:
            continue
    return False


def stop_at(clock: str, now: datetime | None = None) -> Callable[[], str | None]:
    """A stop for the next time that it is `clock`, "22:00" or "7:30", local time.

    Raises UsageError for another form.
    """
    now = now or datetime.now()
    try:
        wanted = datetime.strptime(clock, "%H:%M")
    except ValueError as error:
        raise UsageError(f"--stop-at {clock!r} is not a time. Write it like 22:00.") from error
    end = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return lambda: f"--stop-at {clock}" if datetime.now() >= end else None


def max_hours(hours: float) -> Callable[[], str | None]:
    """A stop after so many hours of wall-clock time.  Raises UsageError unless positive."""
    if not hours > 0:
        raise UsageError(f"--max-hours {hours} is not a time. Give a number above 0, like 1.5.")
    end = time.monotonic() + 3600 * hours
    return lambda: f"--max-hours {hours:g}" if time.monotonic() >= end else None


class PauseWhile:
    """Waits between two steps while a condition holds.

    reason: () -> why to wait, in words, or None to go on.  say: hears both ends of a pause.
    leave: () -> True when the run was asked to stop; then waiting ends.
    """

    def __init__(self, reason: Callable[[], str | None], every: float = LOOK_EVERY):
        self.reason, self.every = reason, every
        self._next = 0.0

    def __call__(self, say: Callable[[str], None], leave: Callable[[], bool]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        why = self.reason()
        if why is not None:
            started = time.monotonic()
            say(f"paused: {why}")
            while why is not None and not leave():
                time.sleep(min(self.every, 1.0))
                why = self.reason()
            say(f"going on after {time.monotonic() - started:.0f} s")
        self._next = time.monotonic() + self.every


def cool(limit: float, read: Callable[[], float | None] = temperature) -> PauseWhile:
    """Pause above `limit` degrees Celsius until COOLER degrees below it.

    Raises UserError if this machine shows no temperature.
    """
    if read() is None:
        raise UserError(
            "--max-temperature needs a sensor, and this machine shows none in "
            f"{THERMAL}. Leave it out."
        )
    hot = False

    def reason() -> str | None:
        nonlocal hot
        degrees = read()
        if degrees is None:
            return None
        hot = degrees > (limit - COOLER if hot else limit)
        return f"{degrees:.0f} degrees, above the limit of {limit:g}" if hot else None

    return PauseWhile(reason)


def plugged_in(read: Callable[[], bool] = on_battery) -> PauseWhile:
    """Pause while the machine runs on its battery."""
    return PauseWhile(lambda: "running on battery (plug in to go on)" if read() else None)
