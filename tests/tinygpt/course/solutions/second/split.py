import numpy as np

from tinygpt.text.split import SPLITS


def _by_position(sizes, fractions):
    ends = np.cumsum(sizes)
    edges = [int(ends[-1] * f) for f in np.round(np.cumsum(fractions), 12)]
    edges[-1] = int(ends[-1])
    plan = []
    for end, size in zip(ends.tolist(), sizes, strict=True):
        begin = end - size
        cuts = [0] + [min(max(edge - begin, 0), size) for edge in edges]
        plan.append([(SPLITS[i], cuts[i], cuts[i + 1]) for i in range(3) if cuts[i] < cuts[i + 1]])
    return plan
