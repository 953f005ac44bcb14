import math
from collections import Counter

from tinygpt.data.baselines import _unigram


def _bigram(fit, held, vocab_size, k):
    pairs = list(zip(held[:-1].tolist(), held[1:].tolist(), strict=True))
    if not pairs:
        return float("nan")
    seen = Counter(zip(fit[:-1].tolist(), fit[1:].tolist(), strict=True))
    before = Counter(fit[:-1].tolist())
    prior = _unigram(fit, vocab_size)
    losses = [-math.log((seen[a, b] + k * prior[b]) / (before[a] + k)) for a, b in pairs]
    return sum(losses) / len(losses)
