from tinygpt.evaluation.metrics.bleu import ORDER, _grams
from tinygpt.evaluation.metrics.words import cut_13a


def _statistics(written, wanted):
    text = cut_13a(written.rstrip())
    texts = [cut_13a(one.rstrip()) for one in wanted]
    lengths = sorted(len(one) for one in texts)
    nearest = min(lengths, key=lambda length: abs(length - len(text)))
    found = [len(text), nearest]
    for n in range(1, ORDER + 1):
        grams, others = _grams(text, n), [_grams(one, n) for one in texts]
        both = sum(min(count, max(o[g] for o in others)) for g, count in grams.items())
        found.extend((both, max(0, len(text) - n + 1)))
    return found
