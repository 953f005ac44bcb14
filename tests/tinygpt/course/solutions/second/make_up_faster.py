import numpy as np

from tinygpt.compression.second_order import damped


def naive(weight, second, look, block):
    columns = np.ascontiguousarray(weight.T, np.float64)  # (K, N): a column is a row here
    L = np.linalg.cholesky(np.linalg.inv(damped(second)))
    roots = L.diagonal()
    scaled = L / roots  # what column j does to those behind, by its error
    for j in range(len(columns)):
        at = j % block
        if at == 0:
            fix = look(columns[j : j + block].T.copy(), roots[j : j + block])
        off = columns[j] - fix(at, columns[j])
        columns[j:] -= scaled[j:, j, None] * off
    return columns.T.copy()
