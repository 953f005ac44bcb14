"""Whether the questions stood in the training text: then a good score is memory.

    found = contaminated({"item 1": "question and answer ..."}, pieces_of_the_training_text)
    found["item 1"]                         the share of its word runs that stand there

Runs of WORDS words are compared, in small letters and without punctuation, as GPT-3's report did
with 13 (Brown et al. 2020, appendix C). A shorter item is looked for whole, if it has FEWEST words
at least: of fewer, every text has some.

Read next: suites/files.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tinygpt.evaluation.metrics.words import cut_letters

WORDS = 13
FEWEST = 6


def contaminated(items: Mapping[str, str], pieces: Iterable[str]) -> dict[str, float]:
    """item -> share of its runs that stand in the text, of those of which some do.

    pieces: the training text, cut anywhere between words.
    """
    runs: dict[tuple[str, ...], set[str]] = {}
    counts: dict[str, int] = {}
    for name, text in items.items():
        own = _runs(cut_letters(text))
        counts[name] = len(own)
        for run in own:
            runs.setdefault(run, set()).add(name)
    lengths: dict[str, set[int]] = {}  # of the runs that begin with a word
    for run in runs:
        lengths.setdefault(run[0], set()).add(len(run))
    seen: set[tuple[str, ...]] = set()
    rest: list[str] = []
    for piece in pieces:
        words = rest + cut_letters(piece)
        for at, word in enumerate(words):
            for length in lengths.get(word, ()):
                run = tuple(words[at : at + length])
                if run in runs:
                    seen.add(run)
        rest = words[-WORDS + 1 :]
    found: dict[str, float] = {}
    for run in seen:
        for name in runs[run]:
            found[name] = found.get(name, 0.0) + 1 / counts[name]
    return found


def note_on(found: Mapping[str, float], asked: int) -> str:
    """A sentence on what was found, "" for nothing."""
    if not found:
        return ""
    names = ", ".join(sorted(found, key=lambda name: -found[name])[:3])
    return (f"{len(found)} of {asked} questions stand in the training text, wholly or in part "
            f"({names}): what is right of them may be memory.")


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    if len(words) < FEWEST:
        return set()
    length = min(WORDS, len(words))
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
