from tinygpt.evaluation.metrics.bleu import ORDER
from tinygpt.evaluation.metrics.words import cut_13a


def _statistics(written, wanted):
    text = cut_13a(written.rstrip())
    others = [cut_13a(one.rstrip()) for one in wanted]
    nearest = len(others[0])
    for other in others[1:]:
        if (abs(len(other) - len(text)), len(other)) < (abs(nearest - len(text)), nearest):
            nearest = len(other)
    found = [len(text), nearest]
    for n in range(1, 1 + ORDER):
        def cut(words, n=n):
            return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]

        mine, theirs = cut(text), [cut(other) for other in others]
        right = sum(
            min(mine.count(gram), max(one.count(gram) for one in theirs)) for gram in set(mine)
        )
        found += [right, len(mine)]
    return found
