import numpy as np


def gae(rewards, values, counts, gamma, lam):
    made = []
    for r, v in zip(np.split(rewards, np.cumsum(counts)[:-1]),
                    np.split(values, np.cumsum(counts)[:-1]), strict=True):
        delta = r + gamma * np.append(v[1:], 0.0) - v
        steps = np.arange(len(r))
        away = steps[None, :] - steps[:, None]
        made.append(np.where(away >= 0, (gamma * lam) ** np.maximum(away, 0), 0) @ delta)
    return np.concatenate(made)
