import numpy as np


def smallest(score, share, group=None):
    width = score.shape[1]
    place = np.arange(width)
    alike = place // (group or width)
    same = alike[:, None] == alike
    # A weight's rank: how many of its group are less, or as much and before it
    less = score[:, None, :] < score[:, :, None]
    before = (score[:, None, :] == score[:, :, None]) & (place[None, :] < place[:, None])
    rank = ((less | before) & same).sum(axis=-1)
    return rank < np.floor(share * same.sum(axis=1) + 1e-9)
