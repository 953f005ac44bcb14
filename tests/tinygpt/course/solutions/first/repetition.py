import numpy as np

from tinygpt.curation.rules.repetition import _grams


def duplicated(n):
    def covered(view):
        starts, _ = _grams(view)[n]
        marked = np.zeros(len(view.words), bool)
        for start in starts:
            marked[start : start + n] = True
        total = view.word_lengths.sum()
        return float(view.word_lengths[marked].sum() / total) if total else 0.0

    return covered
