"""Fourth stage, over all parts: what is like what, and which split each document goes to.

    fates.npy     (documents,) FATE: the near-duplicate each repeats, its cluster and its split

Read next: writing.py.
"""

from __future__ import annotations

import numpy as np

from tinygpt.curation import split
from tinygpt.curation.judging import KEPT
from tinygpt.curation.work import Work
from tinygpt.text.split import SPLITS

FATE = np.dtype([("copy_of", "<i8"), ("cluster", "<i8"), ("split", "i1")])
NOBODY = -1


def group(work: Work) -> None:
    """Make what this stage leaves."""
    kept = np.array(
        [row["fate"] == KEPT for part in range(work.parts) for row in work.rows("judged", part)],
        bool,
    )
    fates = np.empty(len(kept), FATE)
    fates["copy_of"], fates["cluster"], fates["split"] = NOBODY, np.arange(len(kept)), NOBODY
    digests = np.concatenate([work.load("digests", part) for part in range(work.parts)])
    table = work.settings.of("split")
    fractions = [table[name] for name in SPLITS]
    alive = np.flatnonzero(kept)
    place = split.places(digests, fates["cluster"])
    fates["split"][alive] = split.deal(place[alive], fates["cluster"][alive], fractions)
    work.save("fates", None, fates)
