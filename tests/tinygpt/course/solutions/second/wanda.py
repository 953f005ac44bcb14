import numpy as np


def wanda(weight, inputs, share, group=None):
    made, width = weight.copy(), weight.shape[1]
    length = np.sqrt(np.diag(inputs.second))
    for start in range(0, width, group or width):
        part = slice(start, min(start + (group or width), width))
        score = np.abs(weight[:, part]) * length[part]
        count = int(share * score.shape[1] + 1e-9)
        for row, order in zip(made, np.argsort(score, axis=1, kind="stable"), strict=True):
            row[part][order[:count]] = 0
    return made
