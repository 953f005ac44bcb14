"""Control groups: what a container, or a service, lets its processes use.

Linux keeps processes in a tree of groups, and each group may limit CPU time and memory for all that
is below it: what holds is the tightest limit from a process's own group up to the root. The old
interface (v1) has one tree for each controller, the new one (v2) a single tree; a machine may run
both. /proc/self/cgroup says where in each tree this process stands, /proc/self/mountinfo which part
of the tree is seen at which folder: in a container often only its own group, at the top.

Source: cgroups(7), proc(5).  Read next: threads.py (CPUs), ../tinygpt/machine/memory.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


def control_groups(controller: str, system: Path = Path("/")) -> list[Path]:
    """Folders of this process's groups, the innermost first, up to the top of what is seen.

    controller: "cpu" or "memory".  Folders of v1 and v2 hold files of other names, and a folder may
    be missing.  system: what stands for /, in tests.  Empty where there are no groups.
    """
    own = dict(_own_groups(system))
    found: list[Path] = []
    for kind, options, top, mount in _mounts(system):
        place = own.get(controller if kind == "cgroup" and controller in options else "")
        if place is None or (kind == "cgroup" and controller not in options):
            continue
        inside = Path(place).relative_to(top) if _is_below(place, top) else Path()
        folder = mount / inside
        found += [folder, *list(folder.parents)[: len(inside.parts)]]
    return found


def _is_below(place: str, top: str) -> bool:
    return ".." not in place and Path(place).is_relative_to(top)


def _own_groups(system: Path) -> Iterator[tuple[str, str]]:
    """(controller, path in its tree) of this process; v2's one tree has the controller ""."""
    for line in read(system / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, place


def _mounts(system: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """(cgroup or cgroup2, options, which part of the tree, folder where it is seen)."""
    for line in read(system / "proc/self/mountinfo").splitlines():
        where, _, what = line.partition(" - ")
        kind, _, options = what.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            top, mount = (_unescaped(field) for field in where.split(" ")[3:5])
            yield kind, options.split(","), top, system / mount.lstrip("/")


def _unescaped(field: str) -> str:
    """mountinfo writes a space as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def read(path: Path) -> str:
    """What a small file of the system says, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
