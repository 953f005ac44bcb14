import numpy as np


def gae(rewards, values, counts, gamma, lam):
    made = np.empty(len(rewards))
    ends = set((np.cumsum(counts) - 1).tolist())
    value = later = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        if t in ends:
            value = later = 0.0
        later = rewards[t] + gamma * value - values[t] + gamma * lam * later
        value = made[t] = later
        value = values[t]
    return made
