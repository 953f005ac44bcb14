"""A suite's items dealt out to several ranks (mpirun -n 4 tinygpt evaluate ...).

Items do not depend on each other, so each rank asks its own and the first collects the lines, in
the order that one process would have written them in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from tinygpt.distributed.ranks import Ranks
from tinygpt.evaluation.subject import Subject
from tinygpt.evaluation.suite import Suite


class _Names(Collection[str]):
    """Says of every item that it is done, and so learns the names of all without asking one."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __contains__(self, name: object) -> bool:
        self.seen.append(str(name))
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.seen)

    def __len__(self) -> int:
        return len(self.seen)


class Dealt(Suite):
    """A suite of which each rank of a group asks every n-th item.  All ranks get all lines."""

    def __init__(self, suite: Suite, group: Ranks):
        super().__init__(suite.name, suite.settings, suite.notes)
        self._suite, self._communicator = suite, group.communicator
        self.kind, self.resumable = suite.kind, suite.resumable  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._suite)

    def lines(self, subject: Subject, done: Collection[str]) -> Iterator[dict[str, Any]]:
        rank, ranks = self._communicator.rank, self._communicator.size
        made = set(json.loads(self._communicator.texts(json.dumps(sorted(done)))[0]))
        names = _Names()
        assert not list(self._suite.lines(subject, names))
        left = [name for name in dict.fromkeys(names) if name not in made]
        own = set(left[rank::ranks])
        others = {name for name in names if name not in own}
        asked = list(self._suite.lines(subject, others))
        said = [json.loads(text) for text in self._communicator.texts(json.dumps(asked))]
        place = {name: number for number, name in enumerate(left)}
        yield from sorted((line for one in said for line in one), key=lambda x: place[x["item"]])

    def close(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        return self._suite.close(lines)


def dealt(suite: Suite, group: Any) -> Suite:
    """The suite as a group asks it; as it is where one process asks, or its items are no list."""
    return Dealt(suite, group) if isinstance(group, Ranks) and suite.resumable else suite
