"""BLEU: how many of a text's n-grams of 1 to 4 words stand in a wanted one.

    BP * exp(mean over n of log p_n),    p_n = n-grams in both / n-grams of the text

An n-gram counts as often as it stands in the wanted text with the most of it. BP, the brevity
penalty, is exp(1 - r / c) for a text of c words shorter than r wanted ones, since a text of one
sure word would have no wrong n-gram. A precision of 0 would make all 0; the k-th such one becomes
1 / 2^k of an n-gram (smoothing "exp": Chen and Cherry 2014, method 3).

Over a corpus, counts are added first. Equals sacrebleu 2.6 (tokenize 13a, smooth exp).
Source: Papineni et al. 2002.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tinygpt.evaluation.metrics.words import cut_13a

ORDER = 4
Statistics = list[int]  # words of the text and wanted, then (in both, of the text) by n


def bleu(written: str, wanted: Sequence[str]) -> float:
    """BLEU of one text, 0 to 100; n only as far as it has words ("effective order")."""
    return _score(_statistics(written, wanted), effective=True)


def corpus_bleu(written: Sequence[str], wanted: Sequence[Sequence[str]]) -> float:
    """BLEU of many texts together, 0 to 100.  wanted: those of each text."""
    sums = [0] * (2 + 2 * ORDER)
    for text, others in zip(written, wanted, strict=True):
        sums = [a + b for a, b in zip(sums, _statistics(text, others), strict=True)]
    return _score(sums, effective=False)


def _statistics(written: str, wanted: Sequence[str]) -> Statistics:
    words = cut_13a(written.rstrip())
    others = [cut_13a(one.rstrip()) for one in wanted]
    nearest = min((abs(len(one) - len(words)), len(one)) for one in others)[1]
    found = [len(words), nearest]
    for n in range(1, ORDER + 1):
        own, most = _grams(words, n), Counter[tuple[str, ...]]()
        for one in others:
            most |= _grams(one, n)
        found += [sum((own & most).values()), sum(own.values())]
    return found


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _score(statistics: Statistics, effective: bool) -> float:
    length, wanted, *counts = statistics
    both, own = counts[::2], counts[1::2]
    if not any(both):
        return 0.0
    missing, order, logs = 1.0, ORDER, 0.0
    for n, (right, total) in enumerate(zip(both, own, strict=True), 1):
        if total == 0:
            if effective:
                order = n - 1
                break
            return 0.0
        if right == 0:
            missing *= 2
        logs += math.log(100 * right / total if right else 100 / (missing * total))
    penalty = math.exp(1 - wanted / length) if length < wanted else 1.0
    return penalty * math.exp(logs / order)
