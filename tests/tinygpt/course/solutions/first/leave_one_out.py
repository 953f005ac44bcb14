import numpy as np


def leave_one_out(rewards):
    made = np.empty(rewards.shape)
    for p, row in enumerate(rewards):
        for i in range(len(row)):
            made[p, i] = row[i] - np.delete(row, i).mean()
    return made
