import numpy as np


def deal(place, clusters, fractions):
    ends = [fractions[0], fractions[0] + fractions[1]]
    split = np.array([sum(p >= end for end in ends) for p in place], np.int64)
    for number in sorted(range(3), key=lambda n: fractions[n]):
        if fractions[number] == 0 or number in split:
            continue
        middle = ([0.0, *ends][number] + [*ends, 1.0][number]) / 2
        rich = [n for n in range(3) if len(set(clusters[split == n])) >= 2]
        free = [i for i in range(len(place)) if split[i] in rich]
        if free:
            best = min(free, key=lambda i: (abs(place[i] - middle), i))
            split[clusters == clusters[best]] = number
    return split
