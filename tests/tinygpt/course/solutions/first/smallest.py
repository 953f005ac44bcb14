import numpy as np


def smallest(score, share, group=None):
    gone = np.zeros(score.shape, bool)
    width = score.shape[1]
    for row in range(len(score)):
        for start in range(0, width, group or width):
            places = list(range(start, min(start + (group or width), width)))
            count = int(share * len(places) + 1e-6)
            for k in sorted(places, key=lambda k: (score[row, k], k))[:count]:
                gone[row, k] = True
    return gone
