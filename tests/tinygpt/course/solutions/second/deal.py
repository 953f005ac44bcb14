import numpy as np

from tinygpt.text.split import SPLITS


def deal(place, clusters, fractions):
    edges = np.cumsum(fractions)
    split = (place[:, None] >= edges[None, :-1]).sum(axis=1)
    for number in np.argsort(np.asarray(fractions), kind="stable"):
        if fractions[number] and not np.any(split == number):
            kinds = [np.unique(clusters[split == n]).size for n in range(len(SPLITS))]
            gives = np.array(kinds)[split] > 1
            if gives.any():
                middle = edges[number] - fractions[number] / 2
                far = np.where(gives, np.abs(place - middle), np.inf)
                split = np.where(clusters == clusters[far.argmin()], number, split)
    return split
