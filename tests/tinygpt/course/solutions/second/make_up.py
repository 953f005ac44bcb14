import numpy as np

from tinygpt.compression.second_order import damped


def solve(weight, second, look, block):
    rows = [row.astype(np.float64) for row in weight]
    free = np.linalg.inv(damped(second))
    made, columns = [], np.stack(rows).T.copy()  # (K, N)
    lower = np.linalg.cholesky(free)
    for j in range(len(columns)):
        if j % block == 0:
            fix = look(columns[j : j + block].T.copy(), lower.diagonal()[j : j + block])
        new = fix(j % block, columns[j])
        made.append(new)
        off = (columns[j] - new) / free[0, 0]
        columns[j:] = columns[j:] - free[0][:, None] * off
        free = free[1:, 1:] - free[1:, :1] * free[:1, 1:] / free[0, 0]
    return np.stack(made, axis=1)
