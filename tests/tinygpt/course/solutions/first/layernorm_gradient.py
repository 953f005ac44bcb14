import numpy as np


def layernorm_backward(dy, s, weight, mean, rstd, ds=None):
    C = s.shape[-1]
    flat, up = s.reshape(-1, C), dy.reshape(-1, C)
    n = (flat - mean[:, None]) * rstd[:, None]
    dn = up * weight
    dx = np.empty_like(flat)
    for r in range(len(flat)):
        jacobian = rstd[r] * (np.eye(C) - 1 / C - np.outer(n[r], n[r]) / C)
        dx[r] = jacobian @ dn[r]
    dx = dx.reshape(s.shape)
    return (dx if ds is None else dx + ds), (up * n).sum(0), up.sum(0)
