import numpy as np

from tinygpt.compression.second_order import damped


def naive(weight, second, look, block):
    made = weight.astype(np.float64)
    U = np.linalg.cholesky(np.linalg.inv(damped(second))).T
    roots = np.diag(U)
    for start in range(0, made.shape[1], block):
        stop = min(start + block, made.shape[1])
        columns, rows = made[:, start:stop], U[start:stop, start:stop]
        fix = look(columns.copy(), roots[start:stop])
        off = np.empty_like(columns)
        for j in range(stop - start):
            new = fix(j, columns[:, j])
            off[:, j] = (columns[:, j] - new) / rows[j, j]
            columns[:, j:] -= off[:, j, None] * rows[j, j:]
        made[:, stop:] -= off @ U[start:stop, stop:]
    return made
