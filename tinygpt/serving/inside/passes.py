"""The last passes over texts: what a screen asks second about a text costs no other one.

Read next: looks.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from tinygpt.inspection import Seen

KEPT = 2  # passes
MOST = 64 << 20  # bytes of one's scores: a longer text is passed over anew each time


class Passes:
    """By what they were of.  In the computing thread alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Seen] = OrderedDict()

    def of(self, key: Hashable, make: Callable[[], Seen]) -> Seen:
        """The pass of `key`, made where it is not kept."""
        if key not in self._kept:
            made = make()
            if made.logits.nbytes > MOST:
                return made
            self._kept[key] = made
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
